// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same as numbers, in the text form of Prometheus. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "userspace/ipamd_view.h"

static const char *const verdicts[IPAMD_VERDICTS] = {
	[IPAMD_OK] = "ok",
	[IPAMD_BUSY] = "busy",
	[IPAMD_EXHAUSTED] = "exhausted",
	[IPAMD_LATE] = "late",
	[IPAMD_YOUNGER] = "younger",
	[IPAMD_NOTHING] = "nothing",
	[IPAMD_NO_POOL] = "no_pool",
	[IPAMD_CLOSED] = "closed",
	[IPAMD_MOVING] = "moving",
	[IPAMD_NOT_OURS] = "not_ours",
	[IPAMD_TAKEN] = "taken",
	[IPAMD_COOLING] = "cooling",
	[IPAMD_RESERVED] = "reserved",
	[IPAMD_PREDECESSOR] = "predecessor",
	[IPAMD_AWAY] = "away",
	[IPAMD_FULL] = "full",
	[IPAMD_FOREIGN] = "foreign",
	[IPAMD_ILLEGAL] = "illegal",
	[IPAMD_STALE] = "stale",
	[IPAMD_DUPLICATE] = "duplicate",
	[IPAMD_BROKEN] = "broken",
};

static void begin(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	begin(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void state(FILE *out, const struct manager *m, unsigned int i, const char *name,
		  unsigned int value)
{
	fprintf(out, "ipamd_pool_addresses{pool=\"%s\",family=\"%u\",state=\"%s\"} %u\n",
		pool_name(m, i), m->pin->pools[i].family, name, value);
}

static void pools(struct manager *m, FILE *out)
{
	begin(out, "ipamd_pool_addresses", "gauge", "Addresses of a pool on this node, by state.");
	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		const struct pool *p = &m->pool[i];

		if (!m->pin->pools[i].family)
			continue;
		state(out, m, i, "ready", p->ready);
		state(out, m, i, "cooling", p->cooling);
		state(out, m, i, "held", p->held);
		state(out, m, i, "leaving", p->leaving);
		state(out, m, i, "quarantine", p->quarantine);
		state(out, m, i, "fixed", p->fixed);
	}
	begin(out, "ipamd_pool_watermark_addresses", "gauge",
	      "Between these marks the ready stock is kept.");
	for (unsigned int i = 0; i < IPAMD_POOLS; i++) {
		const struct pool *p = &m->pool[i];

		if (!p->current)
			continue;
		for (int mark = 0; mark < 2; mark++)
			fprintf(out,
				"ipamd_pool_watermark_addresses{pool=\"%s\",family=\"%u\",mark="
				"\"%s\"} %u\n",
				pool_name(m, i), m->pin->pools[i].family, mark ? "high" : "low",
				mark ? p->source.pool.high : p->source.pool.low);
	}
	begin(out, "ipamd_pool_waiters", "gauge", "Requests that wait for stock of a pool.");
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		if (m->pool[i].current)
			fprintf(out, "ipamd_pool_waiters{pool=\"%s\",family=\"%u\"} %u\n",
				pool_name(m, i), m->pin->pools[i].family, m->pool[i].waiters);
}

static void programs(struct manager *m, FILE *out)
{
	static const struct {
		enum ipamd_verb verb;
		const char *name, *help;
	} kinds[] = {
		{IPAMD_CLAIM, "ipamd_claims_total", "Runs of the claim program, by verdict."},
		{IPAMD_RELEASE, "ipamd_releases_total", "Runs of the release program, by verdict."},
		{IPAMD_STEP, "ipamd_steps_total", "Runs of the step program, by verdict."},
	};
	struct ipamd_stats s;

	if (pin_stats(m->pin, &s))
		return;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		begin(out, kinds[k].name, "counter", kinds[k].help);
		for (int v = 0; v < IPAMD_VERDICTS; v++)
			fprintf(out, "%s{verdict=\"%s\"} %" PRIu64 "\n", kinds[k].name, verdicts[v],
				(uint64_t)s.count[kinds[k].verb][v]);
	}
	one(out, "ipamd_events_lost_total", "counter",
	    "Hints that found the ring full; the words are the truth.", s.events_lost);
}

/* Our own share of the node, from /proc/self/statm and the like. */
static void process(FILE *out)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long size, resident;

	if (!f)
		return;
	if (fscanf(f, "%lu %lu", &size, &resident) == 2)
		one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
		    (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE));
	fclose(f);
}

void view_metrics(struct manager *m, FILE *out)
{
	const struct counters *c = &m->counters;

	begin(out, "ipamd_build_info", "gauge", "The version of what answers.");
	fprintf(out, "ipamd_build_info{version=\"%s\",abi=\"%d\",layout=\"%d\"} 1\n", IPAMD_VERSION,
		IPAMD_ABI, IPAMD_LAYOUT);
	pools(m, out);
	programs(m, out);
	one(out, "ipamd_slots", "gauge", "Slots of the map, with or without address.",
	    m->pin->meta->slots);
	begin(out, "ipamd_reclaims_total", "counter", "Holds ended without a DEL, by evidence.");
	fprintf(out, "ipamd_reclaims_total{evidence=\"proof\"} %" PRIu64 "\n", c->reclaims_proof);
	fprintf(out, "ipamd_reclaims_total{evidence=\"weak\"} %" PRIu64 "\n", c->reclaims_weak);
	fprintf(out, "ipamd_reclaims_total{evidence=\"asked\"} %" PRIu64 "\n", c->reclaims_asked);
	one(out, "ipamd_fills_total", "counter", "Addresses put into stock.", c->fills);
	one(out, "ipamd_drains_total", "counter", "Addresses given back to their source.",
	    c->drains);
	one(out, "ipamd_slow_claims_total", "counter",
	    "Claims that the manager made for who found nothing in stock.", c->slow_claims);
	one(out, "ipamd_slow_timeouts_total", "counter", "Of these, those for which none came.",
	    c->slow_timeouts);
	one(out, "ipamd_history_gaps_total", "counter", "Holds that nobody saw.", c->gaps);
	one(out, "ipamd_database_errors_total", "counter", "Transactions that failed.",
	    c->store_errors);
	begin(out, "ipamd_reloads_total", "counter", "Configurations read again, by result.");
	fprintf(out, "ipamd_reloads_total{result=\"ok\"} %" PRIu64 "\n", c->reloads);
	fprintf(out, "ipamd_reloads_total{result=\"refused\"} %" PRIu64 "\n", c->reload_failures);
	one(out, "ipamd_turns_total", "counter", "Turns of the manager's loop.", c->turns);
	one(out, "ipamd_zombie_candidates", "gauge", "Holds under weak evidence.",
	    zombie_candidates(m));
	process(out);
}
