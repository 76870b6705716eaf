#pragma once
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <libwebsockets.h>

// LWS_WRITE_RAW is an alias by macro, which Swift does not import. accept4 is a GNU extension; it is declared here because
// _GNU_SOURCE would give this module other system types than Glibc's.
static const enum lws_write_protocol CWEBSOCKETS_WRITE_RAW = LWS_WRITE_RAW;
extern int accept4(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable size, int flags);
static inline int cwebsockets_accept(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable size) {
    return accept4(descriptor, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// A timer as a descriptor, here because Swift's Glibc does not know timerfd. Returns -1 and sets errno if there is none left.
static inline int cwebsockets_timer(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC); }
// Makes the timer's descriptor readable so many nanoseconds from now; 0 is never.
static inline int cwebsockets_arm(int timer, long nanoseconds) {
    struct itimerspec when = {{0, 0}, {nanoseconds / 1000000000, nanoseconds % 1000000000}};
    return timerfd_settime(timer, 0, &when, NULL);
}
