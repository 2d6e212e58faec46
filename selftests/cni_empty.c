// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a process costs that does nothing: the floor under the plugin's times. */
int main(void)
{
	return 0;
}
