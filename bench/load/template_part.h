/* SPDX-License-Identifier: Apache-2.0
 *
 * What a template is compiled to, for template.c and template_expand.c alone: a list of parts. The literal bytes of all parts lie
 * one after the other behind the list.
 */
#ifndef LOAD_TEMPLATE_PART_H
#define LOAD_TEMPLATE_PART_H

#include "template.h"

#define LOAD_DEPTH_MAX 4u

enum load_part_kind {
	LOAD_PART_LITERAL,
	LOAD_PART_CHANNEL,
	LOAD_PART_PAYLOAD,
	LOAD_PART_SINCE,
	LOAD_PART_NUMBER,
	LOAD_PART_SESSION,
	LOAD_PART_LEN,
	LOAD_PART_FILTER,
	LOAD_PART_U8_CHANNEL,
	LOAD_PART_U8_PAYLOAD,
	LOAD_PART_U16_CHANNEL,
	LOAD_PART_U16_PAYLOAD,
	LOAD_PART_NUMBER_16,
	LOAD_PART_NUMBER_32,
	LOAD_PART_PACKET,
	LOAD_PART_U8_BLOCK,
	LOAD_PART_U16_BLOCK,
	LOAD_PART_MQTT_BLOCK,
	LOAD_PART_END
};

struct load_part {
	enum load_part_kind kind;
	uint32_t first, len; /* LOAD_PART_LITERAL: of the bytes */
};

struct load_template {
	uint32_t parts;
	char *bytes;
	struct load_part part[];
};

#endif
