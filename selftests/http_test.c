// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The server in a process of its own, and clients that are honest, strange, silent,
 * slow, too many, or not root.
 */
#include "selftests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "userspace/edge/http.h"
#include "userspace/edge/loop.h"

#define BIG (8 << 20)

static struct sockaddr_un at = {AF_UNIX, ""};
static struct loop *loop;
static struct http *http;
static pid_t server;

/* Shared with the server: how often serve() was called. */
static unsigned int *served;

static void serve(void *ctx, struct http_call *call)
{
	static char big[BIG];
	char body[512];
	const char *a = http_argument(call, "a");
	int n;

	(void)ctx;
	++*served;
	if (!strcmp(http_path(call), "/unanswered"))
		return;
	if (!strcmp(http_path(call), "/big")) {
		memset(big, 'x', sizeof(big));
		CHECK_EQ(http_answer(call, 200, "text/plain", big, sizeof(big)), 0);
		return;
	}
	n = snprintf(body, sizeof(body), "%s %s a=%s pid=%u",
		     http_method(call) == HTTP_POST ? "POST" : "GET", http_path(call), a ? a : "-",
		     http_peer_pid(call));
	CHECK_EQ(http_answer(call, 200, "text/plain", body, (size_t)n), 0);
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/ipamd-test-http-%d", getpid());
	unlink(at.sun_path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(chmod(at.sun_path, 0777), 0); /* so that only the server refuses */
	CHECK_EQ(listen(fd, 256), 0);
	served = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(served != MAP_FAILED);
	return fd;
}

static void stop(void)
{
	unlink(at.sun_path);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
}

/* With room for so many descriptors; 0: as many as there are. */
static void start(rlim_t descriptors)
{
	int fd = make_socket();

	server = fork();
	if (!server) {
		struct rlimit most = {descriptors, descriptors};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK_EQ(loop_open(&loop), 0);
		CHECK_EQ(http_open(loop, fd, serve, NULL, &http), 0);
		if (descriptors)
			CHECK_EQ(setrlimit(RLIMIT_NOFILE, &most), 0);
		loop_run(loop);
		_exit(T_FAIL);
	}
	close(fd);
	atexit(stop);
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void tell(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool readable_within(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* Everything until the server closes; closes too. */
static const char *hear(int fd)
{
	static char answer[1 << 20];
	size_t n = 0;

	for (;;) {
		ssize_t got;

		CHECK(readable_within(fd, 30000));
		got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	answer[n] = '\0';
	return answer;
}

static const char *ask(const char *request)
{
	int fd = dial();

	tell(fd, request);
	return hear(fd);
}

static void check_code(const char *answer, const char *code)
{
	if (strncmp(answer, "HTTP/1.", 7) || strncmp(answer + 9, code, 3))
		test_stop(T_FAIL, "'%s', expected %s", answer, code);
}

static void check_get(const char *target, const char *expected)
{
	char request[512], body[512];
	const char *answer;

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	snprintf(body, sizeof(body), "\r\n\r\n%s pid=%d", expected, getpid());
	answer = ask(request);
	check_code(answer, "200");
	if (!strstr(answer, body))
		test_stop(T_FAIL, "'%s', expected '%s'", answer, body);
}

TEST(path_and_arguments_are_decoded)
{
	start(0);
	check_get("/pools", "GET /pools a=-");
	check_get("/p%2fq%20r?a=1%262+3&b=4", "GET /p/q r a=1&2 3");
	check_get("/p?b=4&a=5&a=6", "GET /p a=5");
	check_get("/p?", "GET /p a=-");
	check_get("/p?a=", "GET /p a=");
	check_get("/../etc", "GET /../etc a=-");
	CHECK_EQ(*served, 6);
}

TEST(a_body_is_read_and_ignored)
{
	const char *answer;

	start(0);
	answer = ask("POST /p?a=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\na=2");
	CHECK(strstr(answer, "POST /p a=1"));
	CHECK(strstr(answer, "Connection: close"));
	answer = ask("POST /p?a=3 HTTP/1.1\r\n\r\n");
	CHECK(strstr(answer, "POST /p a=3"));
}

TEST(what_is_malformed_never_reaches_serve)
{
	start(0);
	check_code(ask("GET /p?a HTTP/1.1\r\n\r\n"), "400");
	check_code(ask("GET /p?a=b%00c HTTP/1.1\r\n\r\n"), "400");
	check_code(ask("GET /p%00q HTTP/1.1\r\n\r\n"), "400");
	check_code(ask("GET /p HTTP/1.1\r\nno colon\r\n\r\n"), "400");
	check_code(ask("nonsense\r\n\r\n"), "400");
	check_code(ask("DELETE /p HTTP/1.1\r\n\r\n"), "405");
	check_code(ask("BREW /p HTTP/1.1\r\n\r\n"), "405");
	CHECK(strstr(ask("PUT /p HTTP/1.1\r\n\r\n"), "\r\nAllow: GET, POST\r\n"));
	CHECK_EQ(*served, 0);
	check_code(ask("GET /unanswered HTTP/1.1\r\n\r\n"), "500");
	CHECK_EQ(*served, 1);
}

TEST(a_second_request_is_not_looked_at)
{
	const char *answer;

	start(0);
	answer = ask("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
	check_code(answer, "200");
	CHECK(strstr(answer, "GET /1") && !strstr(answer, "GET /2"));
	check_get("/3", "GET /3 a=-");
	CHECK_EQ(*served, 2);
}

TEST(curl_is_a_client)
{
	char command[256], got[256] = "";
	FILE *f;

	if (system("command -v curl >/dev/null"))
		SKIP("no curl");
	start(0);
	snprintf(command, sizeof(command), "curl -sS --unix-socket %s -w ' %%{http_code}' %s",
		 at.sun_path, "-X POST 'http://ipamd/v1/fix?a=10.0.0.1'");
	f = popen(command, "r");
	CHECK(f);
	CHECK(fgets(got, sizeof(got), f));
	CHECK_EQ(pclose(f), 0);
	CHECK(strstr(got, "POST /v1/fix a=10.0.0.1 pid=") && strstr(got, " 200"));
}

TEST(only_root_is_served)
{
	int st;
	pid_t pid;

	start(0);
	pid = fork();
	if (!pid) {
		const char *answer;

		CHECK(!setgroups(0, NULL) && !setgid(1000) && !setuid(1000));
		answer = ask("GET /p HTTP/1.1\r\n\r\n");
		check_code(answer, "403");
		CHECK(strstr(answer, "\r\n\r\n{\"error\":\"only root is served here\"}\n"));
		check_code(ask("BREW /p HTTP/1.1\r\n\r\n"), "403");
		_exit(T_PASS);
	}
	CHECK_EQ(waitpid(pid, &st, 0), pid);
	CHECK_EQ(st, 0);
	CHECK_EQ(*served, 0);
	check_get("/p", "GET /p a=-");
}

/* Sends so many bytes of filler after `begin`, as far as the server takes them. */
static const char *ask_long(const char *begin, size_t filler)
{
	static char text[1 << 20];
	int fd = dial();
	size_t n = strlen(begin);

	memcpy(text, begin, n);
	memset(text + n, 'a', filler);
	send(fd, text, n + filler, MSG_NOSIGNAL | MSG_DONTWAIT);
	send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
	return hear(fd);
}

TEST(sizes_have_limits)
{
	start(0);
	check_code(ask_long("GET /", 200000), "400");
	check_code(ask_long("GET / HTTP/1.1\r\nX: ", HTTP_LIMIT_HEADERS), "400");
	check_code(ask_long("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 65537), "413");
	CHECK(!strstr(ask_long("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n",
			       0x20000),
		      "200 OK"));
	CHECK(!strstr(ask("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n"),
		      "200 OK"));
	CHECK(!strstr(ask("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), "200 OK"));
	CHECK_EQ(*served, 0);
	check_code(ask_long("GET / HTTP/1.1\r\nX: ", HTTP_LIMIT_HEADERS - 200), "200");
	check_code(ask_long("POST / HTTP/1.1\r\nContent-Length: 65536\r\n\r\n", 65536), "200");
}

TEST(one_too_many_waits_for_another_to_leave)
{
	int held[HTTP_LIMIT_CONNECTIONS], fd;

	start(0);
	for (int i = 0; i < HTTP_LIMIT_CONNECTIONS; i++)
		held[i] = dial();
	fd = dial();
	tell(fd, "GET /late HTTP/1.1\r\n\r\n");
	CHECK(!readable_within(fd, 500));
	close(held[5]);
	CHECK(strstr(hear(fd), "GET /late"));
	/* Those that waited longer than anybody are served too. */
	tell(held[0], "GET /first HTTP/1.1\r\n\r\n");
	CHECK(strstr(hear(held[0]), "GET /first"));
}

TEST(places_are_given_back)
{
	start(0);
	for (int i = 0; i < 20 * HTTP_LIMIT_CONNECTIONS; i++) {
		close(dial());
		check_code(ask("nonsense\r\n\r\n"), "400");
		check_get("/p", "GET /p a=-");
	}
}

TEST(without_descriptors_it_waits_and_goes_on)
{
	int held[20], fd;

	start(16);
	for (int i = 0; i < 20; i++)
		held[i] = dial();
	fd = dial();
	tell(fd, "GET /late HTTP/1.1\r\n\r\n");
	CHECK(!readable_within(fd, 300));
	for (int i = 0; i < 20; i++)
		close(held[i]);
	CHECK(strstr(hear(fd), "GET /late"));
}

TEST(who_leaves_in_the_middle_of_an_answer_harms_nobody)
{
	start(0);
	for (int i = 0; i < 2 * HTTP_LIMIT_CONNECTIONS; i++) {
		int fd = dial();

		tell(fd, "GET /big HTTP/1.1\r\n\r\n");
		CHECK(readable_within(fd, 30000));
		close(fd);
	}
	check_get("/p", "GET /p a=-");
}

TEST(a_big_answer_arrives_whole)
{
	static char part[1 << 16];
	size_t sum = 0;
	ssize_t n;
	int fd;

	start(0);
	fd = dial();
	tell(fd, "GET /big HTTP/1.1\r\n\r\n");
	while ((n = recv(fd, part, sizeof(part), 0)) > 0)
		sum += (size_t)n;
	CHECK(sum > BIG && sum < BIG + 1000);
	close(fd);
}

/* The server has cut it off: what a slow client has not read yet is all there is. */
static bool is_cut(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1;
}

TEST(the_silent_and_the_slow_are_cut_off)
{
	int quiet, slow, half, deaf;

	start(0);
	quiet = dial();
	slow = dial();
	half = dial();
	deaf = dial();
	tell(half, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
	tell(deaf, "GET /big HTTP/1.1\r\n\r\n");
	/* The harness's time limit is the limit. */
	while (!is_cut(quiet) || !is_cut(slow) || !is_cut(half) || !is_cut(deaf)) {
		send(slow, "G", 1, MSG_NOSIGNAL);
		send(half, "a", is_cut(slow) ? 1 : 0, MSG_NOSIGNAL);
		poll(NULL, 0, 100);
	}
	check_get("/p", "GET /p a=-");
	CHECK_EQ(*served, 2);
}

static void stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(loop, 0);
}

TEST(it_closes_with_clients_in_every_state)
{
	int fd = make_socket(), quiet, deaf;
	struct loop_event *event = NULL;

	CHECK_EQ(loop_open(&loop), 0);
	CHECK_EQ(http_open(loop, fd, serve, NULL, &http), 0);
	quiet = dial();
	deaf = dial();
	tell(deaf, "GET /big HTTP/1.1\r\n\r\n");
	CHECK_EQ(loop_on_readable(loop, deaf, stop_loop, NULL, &event), 0);
	CHECK_EQ(loop_run(loop), 0);
	loop_remove(event);
	http_close(http);
	CHECK(is_cut(quiet) && is_cut(deaf));
	/* The listening socket is still the caller's. */
	close(quiet);
	quiet = dial();
	loop_close(loop);
	close(quiet);
	close(deaf);
	close(fd);
	stop();
}

TEST_MAIN
