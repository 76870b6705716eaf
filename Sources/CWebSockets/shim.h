#pragma once
#include <sys/socket.h>
#include <libwebsockets.h>

// LWS_WRITE_RAW is an alias by macro, which Swift does not import. accept4 is a GNU extension; it is declared here because
// _GNU_SOURCE would give this module other system types than Glibc's.
static const enum lws_write_protocol CWEBSOCKETS_WRITE_RAW = LWS_WRITE_RAW;
extern int accept4(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable size, int flags);
static inline int cwebsockets_accept(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable size) {
    return accept4(descriptor, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
