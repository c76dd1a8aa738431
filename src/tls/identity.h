/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a client certificate says its holder is.
 */
#ifndef RC_TLS_IDENTITY_H
#define RC_TLS_IDENTITY_H

#include <openssl/x509.h>

#include "base/base.h"

/* The common name, else the first alternative name that is DNS, email or URI. Its length, or 0: there is none, it is longer than size, or
 * it holds something else than printable ASCII. */
uint8_t rc_tls_identity_of(const X509 *x, char *out, size_t size);

#endif
