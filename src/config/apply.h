/* SPDX-License-Identifier: Apache-2.0
 *
 * What file, environment and flags have in common: an option is looked up, its value checked, and it is taken unless a
 * stronger source has spoken already. Start-up, main thread.
 */
#ifndef RC_CONFIG_APPLY_H
#define RC_CONFIG_APPLY_H

#include "config/options.h"

/* The field and the origin of a row; ns is the index of the namespace and 0 for other rows. */
void *rc_config_field(struct rc_config *c, uint32_t row, uint32_t ns);
const void *rc_config_field_const(const struct rc_config *c, uint32_t row, uint32_t ns);
struct rc_config_origin *rc_config_origin(struct rc_config *c, uint32_t row, uint32_t ns);
const struct rc_config_origin *rc_config_origin_const(
	const struct rc_config *c, uint32_t row, uint32_t ns);

/*
 * where: "ringcast.ini:12" or "RINGCAST_SHARDS", the beginning of the message. 0, or -1 with an error reported. A value
 * that a stronger source has overridden is checked all the same.
 */
int rc_config_apply(struct rc_config *c, uint32_t row, uint32_t ns, const char *value,
	struct rc_config_origin origin, const char *where, struct rc_config_report *r) RC_MUST_USE;

/* The index of the namespace with that name, made when it is new; "" and "default" are 0. RC_NONE: an error was reported. */
uint32_t rc_config_namespace_get(
	struct rc_config *c, const char *name, const char *where, struct rc_config_report *r);

/* A sentence or two on [namespace NAME], in the example file and the reference alike. */
extern const char rc_config_about_namespaces[];
/* What a running gateway takes notice of. */
extern const char rc_config_about_changes[];

#endif
