#pragma once
#include <openssl/ssl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
#include <openssl/err.h>
#include <openssl/ec.h>

// EVP_EC_gen is a macro, which Swift cannot import.
static inline EVP_PKEY *copenssl_new_p256_key(void) { return EVP_EC_gen("P-256"); }

// SSL_OP_NO_RENEGOTIATION is a macro with a cast.
static const uint64_t copenssl_no_renegotiation = SSL_OP_NO_RENEGOTIATION;
