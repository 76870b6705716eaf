#pragma once

#include <poll.h>

/// `poll` with a time-out in nanoseconds.
int cprecisepoll_wait(struct pollfd *sockets, unsigned long count, long long nanoseconds);

/// Asks the kernel to end this thread's waits when they are due, not up to 50 microseconds later, and, which only root may, to run
/// it before all others: it stands for clients that run elsewhere.
void cprecisepoll_be_punctual(void);
