// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cni/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cni/result.h"

static struct {
	int code;
	char msg[512];
	char details[2048];
} last;

int problem(int code, const char *msg, ...)
{
	va_list ap;

	last.code = code;
	last.details[0] = '\0';
	va_start(ap, msg);
	vsnprintf(last.msg, sizeof(last.msg), msg, ap);
	va_end(ap);
	return code;
}

void problem_details(const char *details, ...)
{
	size_t n = strlen(last.details);
	va_list ap;

	va_start(ap, details);
	vsnprintf(last.details + n, sizeof(last.details) - n, details, ap);
	va_end(ap);
}

void problem_print(const char *version)
{
	static char text[8192];
	struct out o = {text, sizeof(text), 0};

	out_text(&o, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", version, last.code);
	out_string(&o, last.msg);
	if (last.details[0]) {
		out_text(&o, ",\"details\":");
		out_string(&o, last.details);
	}
	out_text(&o, "}\n");
	out_write(&o);
}

const char *problem_text(void)
{
	static char text[sizeof(last.msg) + sizeof(last.details) + 2];

	snprintf(text, sizeof(text), "%s%s%s", last.msg, last.details[0] ? "; " : "", last.details);
	return text;
}

void problem_warn(const char *text, ...)
{
	char line[3072];
	va_list ap;
	int n = snprintf(line, sizeof(line), "ipamd-ipam: ");

	va_start(ap, text);
	vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, text, ap);
	va_end(ap);
	for (char *p = line; *p; p++) /* what the configuration says goes into logs */
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	strcat(line, "\n");
	if (write(2, line, strlen(line)) < 0)
		return; /* nobody listens */
}
