#pragma once

/// Asks the processor to bring the cache line at `address`, which will be written soon; any address is allowed.
static inline void cprefetch_line(const void *address) { __builtin_prefetch(address, 1, 3); }
