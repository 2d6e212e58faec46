/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mistakes in a configuration, each with what must be in the complaint, and
 * configurations that have none: for the reader, the program and the fuzzer.
 */
#ifndef IPAMD_SELFTESTS_CONFIG_CORPUS_H
#define IPAMD_SELFTESTS_CONFIG_CORPUS_H

#define POOL "[pool p]\nsubnet = 10.0.0.0/24\n"

static const struct {
	const char *text;
	const char *complaint; /* the file is t.conf */
} config_bad[] = {
	{"", "there is no pool"},
	{"# nothing\n\n", "there is no pool"},
	{"[manager]\n", "there is no pool"},
	{"slots = 64\n", "t.conf:1: \"slots\" stands in no section"},
	{"[pool]\n", "t.conf:1: [pool ]: a name"},
	{"[pool a b]\n", "t.conf:1: a section is written"},
	{"[pool A]\n", "t.conf:1: [pool A]: a name"},
	{"[pool -a]\n", "t.conf:1: [pool -a]: a name"},
	{"[pool a_b]\n", "t.conf:1: [pool a_b]: a name"},
	{"[pool abcdefghijabcdefghijabcdefghijab]\n", "a name of at most 31"},
	{"[pool a\n", "t.conf:1: a section is written"},
	{"[pool a] x\n", "t.conf:1: a section is written"},
	{"[]\n", "t.conf:1: a section is written"},
	{"[[pool a]]\n", "t.conf:1: a section is written"},
	{"[poll a]\n", "t.conf:1: [poll a]: [manager] and [pool NAME] are allowed"},
	{"[manager x]\n", "t.conf:1: [manager x]: [manager] and"},
	{"[manager]\nslot = 64\n",
	 "t.conf:2: there is no key \"slot\" in [manager]; allowed are slots,"},
	{"[pool a]\nrnage = 10.0.0.1\n",
	 "t.conf:2: there is no key \"rnage\" in [pool]; allowed are"},
	{"[manager]\nslots\n", "t.conf:2: \"slots\" is no \"key = value\""},
	{"[manager]\nslots =\n", "t.conf:2: \"slots\" has no value"},
	{"[manager]\n= 5\n", "t.conf:2: there is no key before"},
	{"[manager]\nslots = 63\n", "t.conf:2: slots = 63: a whole number from 64 to 4096"},
	{"[manager]\nslots = 4097\n", "slots = 4097"},
	{"[manager]\nslots = -5\n", "slots = -5"},
	{"[manager]\nslots = 0x40\n", "slots = 0x40"},
	{"[manager]\nslots = 64 # x\n", "slots = 64 # x"},
	{"[manager]\nslots = 99999999999999999999\n", "slots = 9999"},
	{"[manager]\nslots = \"64\"\n", "slots = \"64\""},
	{"[manager]\npins = relative\n", "t.conf:2: pins = relative: an absolute path"},
	{"[manager]\nrun = "
	 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	 "at most 99 bytes"},
	{"[manager]\nhistory = 30\n", "t.conf:2: history = 30: a whole number and its unit"},
	{"[manager]\nhistory = 4000d\n", "up to 3650d"},
	{"[manager]\nhistory = 1y\n", "history = 1y"},
	{POOL "cooldown = 30\n", "t.conf:3: cooldown = 30: a whole number and its unit"},
	{POOL "cooldown = s\n", "cooldown = s"},
	{POOL "cooldown = 1.5s\n", "cooldown = 1.5s"},
	{POOL "cooldown = -1s\n", "cooldown = -1s"},
	{POOL "cooldown = 2d\n", "up to 1d"},
	{POOL "low = 5x\n", "low = 5x"},
	{POOL "high = 0\n", "high = 0"},
	{POOL "low = 51\n", "t.conf:1: pool p: low (51) must not be above high (50)"},
	{POOL "high = 300\n", "high (300) does not fit into 256 slots"},
	{"[pool p]\n", "t.conf:1: pool p: it needs a \"subnet\""},
	{"[pool p]\nsubnet = 10.0.0.0\n", "t.conf:2: subnet = 10.0.0.0: a prefix"},
	{"[pool p]\nsubnet = 10.0.0.1/24\n", "bits set behind the prefix"},
	{"[pool p]\nsubnet = 10.0.0.0/33\n", "a prefix"},
	{"[pool p]\nsubnet = 0.0.0.0/0\n", "a prefix"},
	{"[pool p]\nsubnet = 010.0.0.0/24\n", "a prefix"},
	{POOL "subnet = 10.1.0.0/24\n", "t.conf:3: a pool has one IPv4 subnet"},
	{"[pool p]\nrange = 10.0.0.1-10.0.0.9\n", "of a family in which it has no subnet"},
	{POOL "range = 2001:db8::1\n", "of a family in which it has no subnet"},
	{POOL "range = 10.0.0.9-10.0.0.1\n", "t.conf:3: range = 10.0.0.9-10.0.0.1: it ends before"},
	{POOL "range = 10.0.0.1-2001:db8::1\n", "changes its family"},
	{POOL "range = 10.0.0.1 - 10.0.0.9\n", "t.conf:3: range = 10.0.0.1 - 10.0.0.9: FIRST-LAST"},
	{POOL "range = 10.0.1.1\n", "the range from 10.0.1.1 is not within the subnet"},
	{POOL "range = 10.0.0.1-10.0.0.9\nrange = 10.0.0.9\n",
	 "from 10.0.0.9 overlaps another one"},
	{POOL "exclude = web\n", "t.conf:3: exclude = web"},
	{POOL "exclude = 10.0.0.0/24\n", "no IPv4 address is left"},
	{POOL "gateway = 10.0.0.1/24\n", "t.conf:3: gateway = 10.0.0.1/24: an address"},
	{POOL "gateway = 10.0.1.1\n", "the gateway 10.0.1.1 is not within the subnet"},
	{POOL "gateway = 10.0.0.1\ngateway = 10.0.0.2\n", "t.conf:4: a pool has one IPv4 gateway"},
	{POOL "route = 10.0.0.0\n", "t.conf:3: route = 10.0.0.0: PREFIX"},
	{POOL "route = 0.0.0.0/0 via\n", "PREFIX via ADDRESS"},
	{POOL "route = 0.0.0.0/0 via 2001:db8::1\n", "of the same family"},
	{POOL "route = 0.0.0.0/0 10.0.0.1\n", "PREFIX via ADDRESS"},
	{POOL "namespace = Kube\n", "t.conf:3: namespace = Kube: the name of a namespace"},
	{POOL "namespace = a\nnamespace = a\n", "t.conf:4: namespace a has pool p already"},
	{POOL "[pool q]\nsubnet = 10.0.0.128/25\n",
	 "t.conf:3: pool q: it shares addresses with pool p"},
	{POOL "[pool p]\nsubnet = 10.1.0.0/24\n", "t.conf:3: pool p is at t.conf:1 already"},
	{POOL "low = 5\nlow = 5\n", "t.conf:4: low stands at line 3 already"},
	{POOL "high = 5\nlow = 5\nhigh = 9\n", "t.conf:5: high stands at line 3 already"},
	{POOL "cooldown = 5s\ncooldown = 5s\n", "t.conf:4: cooldown stands at line 3 already"},
	{"[manager]\nslots = 64\nslots = 64\n", "t.conf:3: slots stands at line 2 already"},
	{"[manager]\nrun = /a\n" POOL "[manager]\nrun = /b\n",
	 "t.conf:6: run stands at line 2 already"},
	{POOL "gateway = 10.0.0.0\n", "t.conf:1: pool p: the gateway 10.0.0.0 is the subnet's"},
	{POOL "gateway = 10.0.0.255\n", "the gateway 10.0.0.255 is the subnet's network or"},
	{POOL "range = 10.0.0.0-10.0.0.9\n", "the range from 10.0.0.0 has the subnet's network"},
	{POOL "range = 10.0.0.255\n", "the range from 10.0.0.255 has the subnet's network or"},
	{"[pool p]\nsubnet = 10.0.0.0/30\nrange = 10.0.0.3\n", "has the subnet's network"},
	{POOL "range = 10.0.0.0/24\n", "without any range all others are handed out"},
	{POOL "range = 10.0.0.9\n"
	      "[pool q]\nsubnet = 10.0.0.0/24\nrange = 10.0.0.20\ngateway = 10.0.0.9\n",
	 "t.conf:1: pool p: it would hand out 10.0.0.9, the gateway of pool q (t.conf:4): exclude"},
	{POOL "gateway = 10.0.0.1\nrange = 10.0.0.9\n"
	      "[pool q]\nsubnet = 10.0.0.0/29\n",
	 "t.conf:5: pool q: it would hand out 10.0.0.1, the gateway of pool p (t.conf:1)"},
	{"[pool p]\nsubnet = 10.0.0.0/24\nsubnet = 2001:db8::/64\nlow = 129\nhigh = 200\n",
	 "t.conf:1: pool p: with it the low marks need 258 slots"},
	{POOL "low = 200\nhigh = 200\n[pool q]\nsubnet = 10.1.0.0/24\nlow = 57\nhigh = 57\n",
	 "t.conf:5: pool q: with it the low marks need 257 slots"},
	{POOL "bl\001ah = 5\n", "t.conf:3: a control character (0x01)"},
	{POOL "\033[31m\n", "a control character (0x1b)"},
	{"\357\273\277[pool p]\n", "is no \"key = value\""},
	{"[pool p]\nsubnet: 10.0.0.0/24\n", "t.conf:2: \"subnet: 10.0.0.0/24\" is no"},
};

enum { CONFIG_BAD = sizeof(config_bad) / sizeof(config_bad[0]) };

static const char config_full[] = "# all that there is\n"
				  "[manager]\n"
				  "slots = 1024\n"
				  "history=7d\n"
				  "pins = /sys/fs/bpf/other\n"
				  "run = /tmp/run\n"
				  "state = /tmp/state\n"
				  "\n"
				  "[pool default]\r\n"
				  "subnet = 10.1.0.0/16\n"
				  "subnet = 2001:db8:1::/64\n"
				  "range = 10.1.1.10-10.1.1.99\n"
				  "range = 10.1.2.0/24\n"
				  "  exclude = 10.1.1.20-10.1.1.29  \n"
				  "exclude = 10.1.2.1\n"
				  "gateway = 10.1.0.1\n"
				  "gateway = 2001:db8:1::1\n"
				  "route = 0.0.0.0/0\n"
				  "route = 10.96.0.0/12 via 10.1.0.2\n"
				  "route = ::/0\n"
				  "cooldown = 1500ms\n"
				  "low = 10\n"
				  "high = 80\n"
				  "[pool other]\n"
				  "subnet = 10.2.0.0/24\n"
				  "cooldown = 2m\n"
				  "namespace = team-a\n"
				  "namespace = team-b";

static const char *const config_good[] = {
	config_full,
	"[pool p]\nsubnet = 10.0.0.0/31\n",
	"[pool p]\nsubnet = 10.0.0.7/32\n",
	"[pool p]\nsubnet = 2001:db8::/127\n",
	/* the edges of a subnet of two, and of IPv6 */
	"[pool p]\nsubnet = 10.0.0.0/31\nrange = 10.0.0.1\ngateway = 10.0.0.0\n",
	"[pool p]\nsubnet = 10.0.0.0/31\nrange = 10.0.0.0/31\n",
	"[pool p]\nsubnet = 2001:db8::/64\nrange = 2001:db8::/64\n",
	"[pool p]\nsubnet = 2001:db8::/64\ngateway = 2001:db8::\n",
	"[pool p]\nsubnet = 2001:db8::/29\ngateway = 2001:db8::\n",
	/* the same key in the next pool; another pool's gateway, but excluded, or shared */
	POOL "low = 9\n[pool q]\nlow = 9\nsubnet = 10.1.0.0/24\n",
	POOL "range = 10.0.0.8/29\nexclude = 10.0.0.9\n[pool q]\n"
	     "subnet = 10.0.0.0/24\nrange = 10.0.0.20\ngateway = 10.0.0.9\n",
	POOL "range = 10.0.0.9\ngateway = 10.0.0.1\n[pool q]\n"
	     "subnet = 10.0.0.0/24\nrange = 10.0.0.20\ngateway = 10.0.0.1\n",
	/* low marks that fit exactly */
	"[pool p]\nsubnet = 10.0.0.0/24\nsubnet = 2001:db8::/64\nlow = 128\nhigh = 200\n",
};

enum { CONFIG_GOOD = sizeof(config_good) / sizeof(config_good[0]) };

#endif
