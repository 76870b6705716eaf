{{/* The ConfigMaps with the markets of each exchange of the table in docs/exchanges.md; takes (list root parts). */}}
{{- define "fathom.marketMaps" -}}
{{- range $exchange := list
      "binance-com" "binance-com-margin" "binance-com-isolated-margin" "binance-com-testnet" "binance-com-margin-testnet"
      "binance-com-isolated-margin-testnet" "binance-com-futures" "binance-com-futures-testnet" "binance-com-coin-futures"
      "binance-com-vanilla-options" "binance-com-vanilla-options-testnet" "binance-us" "trbinance-com" }}
- fathom-markets-{{ $exchange }}
{{- range $part := untilStep 1 (int (index $ 1)) 1 }}
- fathom-markets-{{ $exchange }}-{{ $part }}
{{- end }}
{{- end }}
{{- end -}}
