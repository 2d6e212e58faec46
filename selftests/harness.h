/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A test is a function that returns.  Each runs in its own process, so a crash
 * or a leaked descriptor is one "not ok" line and nothing more.  Output is TAP.
 *
 *	TEST(one_and_one_is_two) { CHECK(1 + 1 == 2); CHECK_EQ(strlen("ab"), 2); }
 *	TEST_MAIN
 *
 * CHECK stops the test it is in.  SKIP("why") does too, and counts as skipped.
 * A name as argument runs that test alone.  TEST_SECONDS lifts the time limit.
 */
#ifndef IPAMD_SELFTESTS_HARNESS_H
#define IPAMD_SELFTESTS_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { T_PASS = 0, T_FAIL = 1, T_SKIP = 4 }; /* kselftest's exit codes */

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_head, **test_tail = &test_head;

static inline void test_add(struct test *t)
{
	*test_tail = t;
	test_tail = &t->next;
}

#define TEST(n)                                                     \
	static void test_##n(void);                                 \
	__attribute__((constructor)) static void test_add_##n(void) \
	{                                                           \
		static struct test t = {#n, test_##n, NULL};        \
		test_add(&t);                                       \
	}                                                           \
	static void test_##n(void)

#define test_stop(code, ...)                             \
	do {                                             \
		printf("# %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__);                     \
		putchar('\n');                           \
		fflush(stdout);                          \
		_exit(code);                             \
	} while (0)

#define CHECK(x)                                     \
	do {                                         \
		if (!(x))                            \
			test_stop(T_FAIL, "%s", #x); \
	} while (0)

#define CHECK_EQ(a, b)                                                                  \
	do {                                                                            \
		long long a_ = (long long)(a), b_ = (long long)(b);                     \
		if (a_ != b_)                                                           \
			test_stop(T_FAIL, "%s is %lld, not %s (%lld)", #a, a_, #b, b_); \
	} while (0)

#define SKIP(...) test_stop(T_SKIP, __VA_ARGS__)

static inline unsigned int test_seconds(void)
{
	const char *s = getenv("TEST_SECONDS");

	return s ? (unsigned int)atoi(s) : 60;
}

static inline int test_run(const struct test *t)
{
	int st;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(test_seconds());
		t->run();
		fflush(stdout);
		exit(T_PASS); /* not _exit: leak checkers report at exit */
	}
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		return T_FAIL;
	if (WIFSIGNALED(st))
		printf("# ended by signal %d (%s)\n", WTERMSIG(st), strsignal(WTERMSIG(st)));
	return WIFEXITED(st) ? WEXITSTATUS(st) : T_FAIL;
}

static inline int test_main(const char *only)
{
	int n = 0, skipped = 0, failed = 0;

	printf("TAP version 13\n");
	for (struct test *t = test_head; t; t = t->next) {
		int r;

		if (only && strcmp(only, t->name))
			continue;
		r = test_run(t);
		failed += r != T_PASS && r != T_SKIP;
		skipped += r == T_SKIP;
		printf("%sok %d %s%s\n", r == T_PASS || r == T_SKIP ? "" : "not ", ++n, t->name,
		       r == T_SKIP ? " # SKIP" : "");
	}
	printf("1..%d\n", n);
	return failed ? T_FAIL : n && skipped == n ? T_SKIP : n ? T_PASS : T_FAIL;
}

#define TEST_MAIN                                            \
	int main(int argc, char **argv)                      \
	{                                                    \
		return test_main(argc > 1 ? argv[1] : NULL); \
	}

#endif
