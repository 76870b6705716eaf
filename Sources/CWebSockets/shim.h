#pragma once
#define _GNU_SOURCE
#include <sys/socket.h>
#include <libwebsockets.h>

// LWS_WRITE_RAW is an alias by macro, and accept4 a GNU extension: Swift imports neither.
static const enum lws_write_protocol CWEBSOCKETS_WRITE_RAW = LWS_WRITE_RAW;
static inline int cwebsockets_accept(int descriptor, struct sockaddr *_Nullable address, socklen_t *_Nullable size) {
    return accept4(descriptor, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
