#pragma once

#include <poll.h>

/// `poll` with a time-out in nanoseconds.
int cprecisepoll_wait(struct pollfd *sockets, unsigned long count, long long nanoseconds);

/// Asks the kernel to end this thread's waits when they are due, not up to 50 microseconds later.
void cprecisepoll_be_punctual(void);
