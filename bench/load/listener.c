/* SPDX-License-Identifier: Apache-2.0
 *
 * Who listens at a port: from the kernel's table of sockets to inodes, from inodes to the processes that hold them.
 */
#include <ctype.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <unistd.h>

#include "watch.h"

#define INODES_MAX 256
#define LISTENING  0x0a

struct inodes {
	unsigned long list[INODES_MAX];
	uint32_t count;
};

static uint16_t port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

static bool same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (!a || a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

/* Another host's port says nothing about who listens at the same one here. */
static bool of_this_host(const struct sockaddr_storage *address)
{
	struct ifaddrs *all, *at;
	bool found = false;

	if (address->ss_family == AF_INET &&
		ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127)
		return true;
	if (getifaddrs(&all) < 0)
		return false;
	for (at = all; at && !found; at = at->ifa_next)
		found = same_host(at->ifa_addr, address);
	freeifaddrs(all);
	return found;
}

static void read_table(const char *path, uint16_t port, struct inodes *out)
{
	char line[512];
	FILE *file = fopen(path, "re");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file) && out->count < INODES_MAX) {
		unsigned local, state;
		unsigned long inode;

		if (sscanf(line,
			    "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*d %lu",
			    &local, &state, &inode) == 3 &&
			local == port && state == LISTENING)
			out->list[out->count++] = inode;
	}
	fclose(file);
}

static bool holds(const char *pid, const struct inodes *inodes)
{
	char path[300], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false; /* another's process, or gone */
	while (!found && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		unsigned long inode;

		if (len <= 0)
			continue;
		link[len] = 0;
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (uint32_t i = 0; i < inodes->count && !found; i++)
			found = inodes->list[i] == inode;
	}
	closedir(dir);
	return found;
}

uint32_t load_watch_listeners(const struct sockaddr_storage *address, pid_t *out, uint32_t cap)
{
	struct inodes inodes = {.count = 0};
	struct dirent *entry;
	uint32_t count = 0;
	DIR *dir;

	if (!of_this_host(address))
		return 0;
	read_table("/proc/net/tcp", port_of(address), &inodes);
	read_table("/proc/net/tcp6", port_of(address), &inodes);
	dir = inodes.count ? opendir("/proc") : NULL;
	if (!dir)
		return 0;
	while (count < cap && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && holds(entry->d_name, &inodes))
			out[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
	closedir(dir);
	return count;
}
