/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of the kernel: can a shard have its ring, and if not, whose fault is it. The flags are probed by asking for
 * a ring as a shard would, because distributions backport and sandboxes forbid: a version number proves nothing.
 */
#include "ops/hostlook.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <unistd.h>

#include "ops/hostread.h"

#define VERSION(major, minor) ((major)*1000u + (minor))

static uint32_t kernel_version(const char *release)
{
	unsigned int major = 0, minor = 0;
	if (sscanf(release, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return VERSION(major, minor);
}

RC_HOST_LOOK(kernel_version)
{
	(void)check;
	snprintf(f->wanted, sizeof(f->wanted), "6.12 or newer, at least 6.1");
	char release[64];
	int rc = rc_host_sysctl(env->root, "kernel.osrelease", release, sizeof(release));
	uint32_t version = kernel_version(release);
	if (rc != 0 || version == 0) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_say(f, version >= VERSION(6, 12) ? RC_HOST_OK : RC_HOST_ADVICE, "%s", release);
	if (version < VERSION(6, 1))
		snprintf(f->why, sizeof(f->why),
			"io_uring.setup below tells whether this one can do it all the same");
}

/* In the order in which kernels learned them; each needs those before it. */
static const struct {
	uint32_t flag;
	const char *name;
	const char *since;
} ring_flags[] = {
	{IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED, "CQSIZE and R_DISABLED", "5.10"},
	{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL", "5.18"},
	{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER", "6.0"},
	{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN", "6.1"},
	{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG", "6.1"},
};

static int try_ring(const struct rc_host_env *env, uint32_t flags, uint32_t *features)
{
	struct io_uring_params params = {.flags = flags, .cq_entries = 16};
	int fd = env->uring_setup(8, &params);
	if (fd < 0)
		return fd;
	close(fd);
	*features = params.features;
	return 0;
}

static void name_missing_flag(const struct rc_host_env *env, struct rc_host_finding *f)
{
	uint32_t flags = 0, features;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(ring_flags); i++) {
		flags |= ring_flags[i].flag;
		if (try_ring(env, flags, &features) == 0)
			continue;
		snprintf(f->why, sizeof(f->why), "this kernel lacks %s, which came with Linux %s",
			ring_flags[i].name, ring_flags[i].since);
		return;
	}
}

static void explain_refusal(const struct rc_host_env *env, struct rc_host_finding *f)
{
	char disabled[16];
	if (rc_host_sysctl(env->root, "kernel.io_uring_disabled", disabled, sizeof(disabled)) ==
			0 &&
		strcmp(disabled, "0") != 0) {
		snprintf(f->why, sizeof(f->why), "kernel.io_uring_disabled is %s", disabled);
		snprintf(f->mend, sizeof(f->mend), "sysctl -w kernel.io_uring_disabled=0");
		return;
	}
	snprintf(f->why, sizeof(f->why),
		"no sysctl forbids it, so a seccomp filter does, as in a container's default profile");
	snprintf(f->mend, sizeof(f->mend),
		"docker run --security-opt seccomp=PROFILE, one that allows io_uring_setup, "
		"io_uring_enter and io_uring_register");
}

RC_HOST_LOOK(uring_setup)
{
	(void)check;
	uint32_t flags = 0, features = 0;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(ring_flags); i++)
		flags |= ring_flags[i].flag;
	snprintf(f->wanted, sizeof(f->wanted), "a ring with deferred task work");
	int rc = try_ring(env, flags, &features);
	if (rc == 0) {
		rc_host_say(f, RC_HOST_OK, "works, features 0x%x", features);
		return;
	}
	rc_host_say(f, RC_HOST_BAD, "%s", strerror(-rc));
	if (rc == -EPERM || rc == -EACCES) {
		explain_refusal(env, f);
	} else if (rc == -ENOSYS) {
		snprintf(f->why, sizeof(f->why),
			"this kernel was built without io_uring, or a sandbox hides it");
		snprintf(f->mend, sizeof(f->mend), "run Linux 6.1 or newer, outside of gVisor");
	} else if (rc == -EINVAL) {
		name_missing_flag(env, f);
		snprintf(f->mend, sizeof(f->mend), "run Linux 6.1 or newer, better 6.12");
	} else if (rc == -ENOMEM) {
		snprintf(f->why, sizeof(f->why), "the ring does not fit into RLIMIT_MEMLOCK");
		snprintf(f->mend, sizeof(f->mend),
			"LimitMEMLOCK=infinity in the unit, or tuning/99-ringcast.limits.conf");
	}
}

RC_HOST_LOOK(uring_disabled)
{
	(void)check;
	snprintf(f->wanted, sizeof(f->wanted), "= 0");
	char text[16];
	int rc = rc_host_sysctl(env->root, "kernel.io_uring_disabled", text, sizeof(text));
	if (rc == -ENOENT) {
		rc_host_say(f, RC_HOST_OK, "no such switch (before Linux 6.6)");
		return;
	}
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_say(f, strcmp(text, "0") == 0 ? RC_HOST_OK : RC_HOST_ADVICE, "%s", text);
	if (strcmp(text, "1") == 0)
		snprintf(f->why, sizeof(f->why),
			"allowed to members of the group kernel.io_uring_group and to CAP_SYS_ADMIN");
	snprintf(f->mend, sizeof(f->mend), "sysctl -w kernel.io_uring_disabled=0");
}

/* The module has registered itself; whether a socket takes keys is another matter. */
static int tls_is_loaded(const struct rc_host_env *env, bool *loaded)
{
	char text[128];
	int rc = rc_host_sysctl(env->root, "net.ipv4.tcp_available_ulp", text, sizeof(text));

	*loaded = false;
	for (const char *word = text; word[0] != '\0'; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");
		*loaded = *loaded || (len == 3 && strncmp(word, "tls", len) == 0);
		word += len;
	}
	return rc == -ENOENT ? 0 : rc;
}

RC_HOST_LOOK(tls)
{
	(void)check;
	const struct rc_host_tls *tried = env->tls;
	bool loaded;
	int rc = tls_is_loaded(env, &loaded);
	snprintf(f->wanted, sizeof(f->wanted), "tls, when clients come over TLS");
	if (tried != NULL) {
		bool missed = tried->wanted && !tried->any;
		rc_host_say(f,
			tried->all ? RC_HOST_OK
			: missed   ? RC_HOST_ADVICE
				   : RC_HOST_INFO,
			"%s", tried->found);
		snprintf(f->why, sizeof(f->why), "%s", tried->why_not);
	} else if (rc != 0) {
		rc_host_unread(f, rc);
	} else {
		rc_host_say(f, loaded ? RC_HOST_OK : RC_HOST_INFO, "%s",
			loaded ? "loaded" : "not loaded");
	}
	snprintf(f->mend, sizeof(f->mend), "%s",
		loaded ? "tuning/README.md has what it takes"
		       : "modprobe tls, and tuning/ringcast.modules.conf for every start of the host");
}

RC_HOST_LOOK(clocksource)
{
	static const char *const fast[] = {
		"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"};
	snprintf(f->wanted, sizeof(f->wanted), "one that is read without a system call");
	char text[48];
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	bool ok = false;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(fast); i++)
		ok = ok || strcmp(text, fast[i]) == 0;
	rc_host_say(f, ok ? RC_HOST_OK : RC_HOST_ADVICE, "%s", text);
	snprintf(f->mend, sizeof(f->mend), "echo tsc > %s   (when available_clocksource offers it)",
		check->reads);
}
