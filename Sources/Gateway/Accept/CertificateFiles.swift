internal import FoundationEssentials
internal import Telemetry
internal import Transport

/// Follows the files of the gateway's certificate, which may be replaced at any time.
///
/// Files that do not fit each other leave the old certificate in use: one of them may still be on its way.
struct CertificateFiles: Sendable {
    var settings: TLSServerSettings
    var metrics: GatewayMetrics
    /// How often they are looked at.
    static let interval = Duration.seconds(2)

    /// Until cancelled; `use` gets each new certificate.
    func run(use: (TLSServerContext) -> Void) async {
        let log = Log("tls")
        var last = content
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.interval) } catch { return }
            let now = content
            guard now != last else { continue }
            last = now
            do throws(TransportError) {
                let context = try TLSServerContext(settings)
                use(context)
                metrics.certificate(context, isReload: true)
                log.info("Certificate was read", ["file": settings.certificateFile])
            } catch {
                metrics.certificateFailures.add()
                log.warning("Certificate cannot be read, the last one stays", ["reason": error.message])
            }
        }
    }

    private var content: [Data?] {
        [settings.certificateFile, settings.keyFile].map { try? Data(contentsOf: URL(filePath: $0)) }
    }
}
