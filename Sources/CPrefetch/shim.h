#pragma once

/// Asks the processor to bring the cache line at `address`, which will be written soon; any address is allowed.
static inline void cprefetch_line(const void *address) { __builtin_prefetch(address, 1, 3); }

/// The same for each line of so many bytes.
static inline void cprefetch_lines(const void *address, long bytes) {
    for (long offset = 0; offset < bytes; offset += 64) cprefetch_line((const char *)address + offset);
}
