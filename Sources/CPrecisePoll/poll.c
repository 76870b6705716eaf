#define _GNU_SOURCE
#include "CPrecisePoll.h"
#include <stddef.h>
#include <sys/prctl.h>
#include <time.h>

// GNU and Linux calls, which the Swift overlay of the C library leaves out.
int cprecisepoll_wait(struct pollfd *sockets, unsigned long count, long long nanoseconds) {
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(sockets, count, &limit, NULL);
}

void cprecisepoll_be_punctual(void) { prctl(PR_SET_TIMERSLACK, 1UL); }
