/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures of `ringcast top`: snapshots go in, rates, quantiles, rows and lists come out. Knows neither files nor a
 * terminal nor the clock. Main thread.
 *
 * Three spans of time: the last interval lies between the last two snapshots; the last minute between the last one and a
 * mark, a snapshot that is kept every ten seconds; the course of the last minutes is a ring of points, of a second or
 * of an interval each, whichever is longer. Nothing that only grows is ever shown to have shrunk.
 */
#ifndef RC_CLI_TOPMODEL_H
#define RC_CLI_TOPMODEL_H

#include "cli/topsnap.h"

#define RC_TOP_MARKS  7
#define RC_TOP_POINTS 240

/* Of the course: NAN where nothing is known. */
struct rc_top_point {
	double seconds;
	double deliveries; /* a second */
	double p99_ns;     /* from publish to socket; the worst of the intervals in it */
};

struct rc_top_model {
	struct rc_top_gateway gateway;
	struct rc_top_snap snap[2]; /* the last is snap[taken % 2] */
	uint64_t taken;
	struct rc_top_snap mark[RC_TOP_MARKS];
	uint64_t marked; /* the last is mark[(marked - 1) % RC_TOP_MARKS] */
	struct rc_top_point point[RC_TOP_POINTS];
	uint64_t pointed;
	struct rc_top_point growing; /* its deliveries are no rate yet */
	/* Entries, RC_NONE where the file has none. */
	uint32_t deliveries;
	uint32_t publish_hist; /* place in gateway.hist */
};

/* Takes the gateway over, also when there is no memory: then false, and deinit is due all the same. */
bool rc_top_model_init(struct rc_top_model *m, struct rc_top_gateway gateway) RC_MUST_USE;
/* Valid on the zero value, and twice. */
void rc_top_model_deinit(struct rc_top_model *m);
/* Where the next snapshot is to be written; it counts once it is stepped to. */
struct rc_top_snap *rc_top_model_next(struct rc_top_model *m);
void rc_top_model_step(struct rc_top_model *m);

/* ---- figures, from the first step on ----------------------------------------------------------- */

enum rc_top_span { RC_TOP_INTERVAL, RC_TOP_MINUTE };

const struct rc_top_snap *rc_top_now(const struct rc_top_model *m);
/* How long the span is; 0 before the second snapshot. */
double rc_top_seconds(const struct rc_top_model *m, enum rc_top_span span);
/* By how much entry i has grown in it. */
uint64_t rc_top_grown(const struct rc_top_model *m, enum rc_top_span span, uint32_t i);
/* The same a second, of the interval. i may be RC_NONE. NAN when it is not known. */
double rc_top_rate(const struct rc_top_model *m, uint32_t i);
double rc_top_rate_of(const struct rc_top_model *m, const char *name);
/* Events a second that somebody published: without those that the gateway tells of itself, as to who watches it. */
double rc_top_rate_of_events(const struct rc_top_model *m);
/* What entry of that name is now; false when there is none. */
bool rc_top_value(const struct rc_top_model *m, const char *name, int64_t *out);

struct rc_top_quantiles {
	uint64_t count; /* 0: the others mean nothing */
	uint64_t p50, p90, p99, max;
};
/* hist: a place in gateway.hist, or RC_NONE. */
struct rc_top_quantiles rc_top_quantiles(
	const struct rc_top_model *m, enum rc_top_span span, uint32_t hist);

/* i from 0, the oldest of rc_top_points(). */
uint32_t rc_top_points(const struct rc_top_model *m);
const struct rc_top_point *rc_top_point(const struct rc_top_model *m, uint32_t i);

/* ---- rows --------------------------------------------------------------------------------------- */

enum rc_top_sort {
	RC_TOP_BY_SHARD,
	RC_TOP_BY_LOAD,
	RC_TOP_BY_CLIENTS,
	RC_TOP_BY_DELIVERIES,
	RC_TOP_BY_EVENTS,
	RC_TOP_BY_BEHIND,
	RC_TOP_BY_LOG,
	RC_TOP_SORT_COUNT
};

/* Figures are NAN where the file does not tell, rates also before the second snapshot. */
struct rc_top_shard {
	uint32_t shard;
	double load; /* share of the time that was spent in turns */
	double clients, deliveries, events, behind, log_bytes;
};
/* rows has room for all shards. The largest come first, by shard the first. */
void rc_top_shards(const struct rc_top_model *m, enum rc_top_sort sort, struct rc_top_shard *rows);

struct rc_top_row {
	uint32_t entry;
	uint64_t total;
	uint64_t minute; /* grown in the last minute */
	double rate;
};
/* Close reasons that ever happened, the most frequent first. Up to max of them; returns how many. */
uint32_t rc_top_closes(const struct rc_top_model *m, struct rc_top_row *rows, uint32_t max);
/*
 * What was refused, limited, dropped, lost, or failed since the gateway began. What moved in the interval comes first, then what
 * moved most in the last minute, then what ever happened, the most frequent first.
 */
uint32_t rc_top_troubles(const struct rc_top_model *m, struct rc_top_row *rows, uint32_t max);
bool rc_top_is_trouble(const char *name);

/* A shard that is at work for more than this share of its time, or an arena that is so full, is trouble to come. */
#define RC_TOP_SATURATED 0.85

struct rc_top_verdict {
	uint32_t counted;          /* kinds of trouble that the file tells of */
	uint32_t ever;             /* those of them that ever happened */
	uint32_t lately;           /* those that did in the last minute */
	uint32_t busiest, fullest; /* shards */
	double load;   /* of the busiest shard in the interval; NAN when it is not known */
	double memory; /* share of the arena that is in use in the fullest; likewise */
};
struct rc_top_verdict rc_top_verdict(const struct rc_top_model *m);
static inline bool rc_top_saturated(double share)
{
	return share > RC_TOP_SATURATED; /* NAN is not */
}

#endif
