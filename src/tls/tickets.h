/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of session tickets, as OpenSSL asks for them. What the rest of the program does with them is in context.h.
 */
#ifndef RC_TLS_TICKETS_H
#define RC_TLS_TICKETS_H

#include <openssl/evp.h>

#include "tls/context.h"

#define RC_TLS_TICKET_NAME 16

uint32_t rc_tls_tickets_lifetime_s(const struct rc_tls_tickets *t);
/*
 * OpenSSL's callback for a ticket, with its return values. seal: name and iv are made, both contexts are keyed; 1 or -1. Else
 * the key of that name is looked up: 0 unknown, 1 found, 2 found and the ticket is to be renewed, -1 error. Any thread.
 */
int rc_tls_tickets_key(struct rc_tls_tickets *t, unsigned char name[RC_TLS_TICKET_NAME],
	unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal);

#endif
