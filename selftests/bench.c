// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a claim, the same claim again and a release cost on the real maps, a call,
 * by the number of slots (all of them filled) and of processes at it at once.
 * Beside them the price of any BPF_PROG_RUN: a request that is refused at sight.
 *
 * A batch of calls is timed together; printed is the median of the batches, and
 * the ratio to the refused call of the same run, which machines agree about more
 * than about nanoseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftests/stock.h"

enum { REFUSED, CLAIM, AGAIN, RELEASE, KINDS };
enum { BATCHES = 301, MOST_BATCH = 64, MOST_PROCESSES = 2 };

static const char *const kinds[KINDS] = {"refused", "claim", "claim again", "release"};

struct sample {
	double ns[MOST_PROCESSES][KINDS][BATCHES];
	int ready; /* processes at the start line */
};

static void must(int r, int expected, const char *what)
{
	if (r == expected)
		return;
	fprintf(stderr, "bench: %s answered %d, not %d\n", what, r, expected);
	exit(1);
}

static double run_batch(struct pin *pin, enum ipamd_verb verb, struct ipamd_request *req, int n,
			int expected, const char *what)
{
	__u64 start = clock_boot_ns(), end;
	int r = 0;

	for (int i = 0; i < n; i++) {
		int got;

		do
			got = pin_run(pin, verb, &req[i]);
		while (got == IPAMD_BUSY); /* as the plugin does */
		r |= got ^ expected;
	}
	end = clock_boot_ns();
	must(r, 0, what);
	return (double)(end - start) / n;
}

static void prepare(struct ipamd_request *req, enum ipamd_verb verb, int n, unsigned int base)
{
	for (int i = 0; i < n; i++) {
		stock_request(&req[i], verb, base + (unsigned int)i);
		request_pool(&req[i], "v4");
	}
}

static void await_ready(void)
{
	__u64 until = stock_now_ms() + 2; /* a release is ready at the next millisecond */

	while (stock_now_ms() < until)
		;
}

static void measure(struct pin *pin, struct sample *s, int me, int processes, int batch)
{
	static struct ipamd_request req[MOST_BATCH];
	unsigned int base = (unsigned int)(me * MOST_BATCH);

	__atomic_fetch_add(&s->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) < processes)
		;
	for (int b = 0; b < BATCHES; b++) {
		prepare(req, IPAMD_CLAIM, batch, base);
		for (int i = 0; i < batch; i++)
			req[i].size = 0;
		s->ns[me][REFUSED][b] =
			run_batch(pin, IPAMD_CLAIM, req, batch, IPAMD_FOREIGN, "refused");
		prepare(req, IPAMD_CLAIM, batch, base);
		s->ns[me][CLAIM][b] = run_batch(pin, IPAMD_CLAIM, req, batch, IPAMD_OK, "claim");
		s->ns[me][AGAIN][b] =
			run_batch(pin, IPAMD_CLAIM, req, batch, IPAMD_OK, "claim again");
		prepare(req, IPAMD_RELEASE, batch, base);
		s->ns[me][RELEASE][b] =
			run_batch(pin, IPAMD_RELEASE, req, batch, IPAMD_OK, "release");
		await_ready();
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(struct sample *s, int processes, int kind)
{
	static double all[MOST_PROCESSES * BATCHES];
	int n = 0;

	for (int p = 0; p < processes; p++)
		for (int b = 0; b < BATCHES; b++)
			all[n++] = s->ns[p][kind][b];
	qsort(all, (size_t)n, sizeof(all[0]), compare);
	return all[n / 2];
}

/* In a child, so that each size has a bpffs of its own. */
static void bench(__u32 slots, int processes)
{
	struct sample *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pin *pin = stock_open(slots < IPAMD_SLOTS_MIN ? IPAMD_SLOTS_MIN : slots, 0);
	int batch = (int)slots / 2 / processes, status;
	pid_t pid[MOST_PROCESSES];

	if (s == MAP_FAILED)
		exit(1);
	if (batch > MOST_BATCH)
		batch = MOST_BATCH;
	for (__u32 i = 0; i < slots; i++)
		must(stock_fill(pin, i, POOL_4, 0), IPAMD_OK, "fill");
	for (int p = 0; p < processes; p++) {
		pid[p] = fork();
		if (!pid[p]) {
			measure(pin, s, p, processes, batch);
			_exit(0);
		}
	}
	for (int p = 0; p < processes; p++)
		if (pid[p] < 0 || waitpid(pid[p], &status, 0) != pid[p] || status)
			exit(1);
	printf("| %5u | %d |", slots, processes);
	for (int k = 0; k < KINDS; k++)
		printf(" %6.0f |", median(s, processes, k));
	for (int k = 1; k < KINDS; k++)
		printf(" %5.1f |", median(s, processes, k) / median(s, processes, 0));
	putchar('\n');
	fflush(stdout);
}

int main(void)
{
	static const __u32 sizes[] = {16, 256, 1024, 4096};
	struct utsname kernel;
	int status;

	if (uname(&kernel))
		return 1;
	printf("kernel %s, %ld CPUs; ns a call, median of %d batches; ratios to a refused call\n\n",
	       kernel.release, sysconf(_SC_NPROCESSORS_ONLN), BATCHES);
	printf("| slots | processes |");
	for (int k = 0; k < KINDS; k++)
		printf(" %s |", kinds[k]);
	for (int k = 1; k < KINDS; k++)
		printf(" %s, ratio |", kinds[k]);
	printf("\n|---|---|---|---|---|---|---|---|---|\n");
	fflush(stdout);
	for (int processes = 1; processes <= MOST_PROCESSES; processes++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			pid_t pid = fork();

			if (!pid) {
				bench(sizes[i], processes);
				_exit(0);
			}
			if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
				return 1;
		}
	return 0;
}
