/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of /api, and what its shards say to each other.
 */
#include "serve/api.h"

static uint32_t keys_per_shard(const struct rc_config *config, uint32_t shards)
{
	uint64_t fair = ((uint64_t)config->http_idempotency_keys + shards - 1) / shards;

	/* They spread by chance. */
	return shards == 1 ? config->http_idempotency_keys : (uint32_t)(fair + fair / 2 + 16);
}

static size_t jobs_bytes(void)
{
	return rc_align_up(RC_API_JOBS * (rc_api_job_bytes() + sizeof(uint32_t)), RC_CACHE_LINE);
}

size_t rc_api_bytes(const struct rc_config *config, uint32_t shards)
{
	return rc_align_up(sizeof(struct rc_api), RC_CACHE_LINE) + jobs_bytes() +
	       rc_api_keys_bytes(keys_per_shard(config, shards));
}

void rc_api_init(struct rc_serve *sv, void *memory, uint32_t shards)
{
	unsigned char *at = memory;

	sv->api = memory;
	at += rc_align_up(sizeof(struct rc_api), RC_CACHE_LINE);
	rc_slab_init(&sv->api->jobs, at, (uint32_t)rc_api_job_bytes(), RC_API_JOBS);
	sv->api->job_generation = (uint32_t *)(void *)(at + RC_API_JOBS * rc_api_job_bytes());
	sv->api->wait_first = sv->api->wait_last = RC_NONE;
	rc_api_keys_init(sv, at + jobs_bytes(), keys_per_shard(sv->config, shards));
}

bool rc_api_asked(struct rc_serve *sv, const void *bytes, size_t len)
{
	const struct rc_api_key_ask *ask = bytes;

	RC_ASSERT(len >= sizeof(*ask));
	if (ask->kind == RC_API_KEY_CLAIM)
		return rc_api_keys_claim(sv, ask);
	RC_ASSERT(ask->kind == RC_API_KEY_SETTLE);
	rc_api_keys_settle(sv, ask);
	return true;
}

void rc_api_told(struct rc_serve *sv, const void *bytes, size_t len)
{
	const struct rc_api_key_answer *a = bytes;

	RC_ASSERT(len >= sizeof(*a) && a->kind == RC_API_KEY_ANSWER);
	rc_api_key_told(sv, a);
}

bool rc_api_waiting(const struct rc_serve *sv)
{
	return sv->api && sv->api->wait_first != RC_NONE;
}

bool rc_api_settled(const struct rc_serve *sv)
{
	return !sv->api || sv->api->jobs.used == 0;
}
