# SPDX-License-Identifier: Apache-2.0
"""`make install`, into a folder that stands for the root of a host."""
import os
import re
import shutil
import subprocess

import pytest

import rccompile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "clib/installed.c")

pytestmark = [pytest.mark.one_shard, pytest.mark.deadline(300)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    to = str(tmp_path_factory.mktemp("root"))
    rccompile.make("install", f"DESTDIR={to}", "PREFIX=/usr/local")
    return to


def text(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def test_everything_is_where_it_belongs(shards, root):
    found = {os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names}
    assert found >= {"usr/local/bin/ringcast", "usr/local/include/ringcast.h", "usr/local/include/ringcast/wire.h",
                     "usr/local/lib/libringcast.a", "usr/local/lib/libringcast.so", "usr/local/lib/libringcast.so.0",
                     "usr/local/lib/pkgconfig/ringcast.pc", "usr/local/lib/systemd/system/ringcast.service",
                     "usr/local/share/doc/ringcast/ringcast.conf.example", "etc/ringcast/ringcast.conf",
                     "usr/local/share/ringcast/tuning/ringcast.modules.conf", "usr/local/share/ringcast/tuning/README.md",
                     "usr/local/share/man/man1/ringcast.1", "usr/local/share/man/man1/ringcast-serve.1",
                     "usr/local/share/man/man5/ringcast.conf.5", "usr/local/share/man/man7/ringcast-counters.7"}
    assert ("usr/local/bin/ringcast-load" in found) == ("usr/local/share/man/man1/ringcast-load.1" in found)
    for link in ("libringcast.so", "libringcast.so.0"):
        path = os.path.join(root, "usr/local/lib", link)
        assert os.path.islink(path) and "/" not in os.readlink(path) and os.path.isfile(path)


def test_the_installed_program_takes_the_installed_configuration(shards, root):
    program = os.path.join(root, "usr/local/bin/ringcast")
    assert re.match(r"ringcast \d", rccompile.run([program, "--version"]))
    rccompile.run([program, "serve", "--check-config", "--config", os.path.join(root, "etc/ringcast/ringcast.conf")],
                  env={k: v for k, v in os.environ.items() if not k.startswith("RINGCAST_")})


def test_the_unit_names_the_paths_of_the_prefix(shards, root, folder):
    assert "ExecStart=/usr/local/bin/ringcast serve --config /etc/ringcast/ringcast.conf" in \
        text(root, "usr/local/lib/systemd/system/ringcast.service")
    rccompile.make("install", f"DESTDIR={folder}", "PREFIX=/opt/ringcast")
    assert "ExecStart=/opt/ringcast/bin/ringcast serve --config /opt/ringcast/etc/ringcast/ringcast.conf" in \
        text(folder, "opt/ringcast/lib/systemd/system/ringcast.service")
    assert os.path.isfile(os.path.join(folder, "opt/ringcast/etc/ringcast/ringcast.conf"))
    assert not os.path.exists(os.path.join(folder, "etc"))
    # A prefix that begins with another's name is another prefix.
    assert "prefix=/opt/ringcast\n" in text(folder, "opt/ringcast/lib/pkgconfig/ringcast.pc")


def test_the_links_of_the_installed_chapters_lead_somewhere(shards, root):
    share = os.path.join(root, "usr/local/share/ringcast")
    chapters = [os.path.join(at, name) for at, _, names in os.walk(share) for name in names if name.endswith(".md")]
    assert {os.path.relpath(c, share) for c in chapters} >= {"README.md", "tuning/README.md", "tuning/DEPLOY.md", "src/proto/README.md", "src/config/REFERENCE.md"}
    for chapter in chapters:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", re.sub(r"```.*?```|`[^`\n]*`", "", text(chapter), flags=re.S)):
            if not re.match(r"[a-z]+:", target):
                assert os.path.exists(os.path.join(os.path.dirname(chapter), target)), (target, chapter)


def test_a_configuration_that_is_there_stays(shards, folder):
    for _ in range(2):
        said = rccompile.make("install", f"DESTDIR={folder}", "PREFIX=/usr/local")
        path = os.path.join(folder, "etc/ringcast/ringcast.conf")
        if "stays as it is" not in said:
            with open(path, "w") as f:
                f.write("; mine\n")
    assert "stays as it is" in said and text(path) == "; mine\n"


def flags(root, *wanted):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(root, "usr/local/lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": root}
    return rccompile.run(["pkg-config", *wanted, "ringcast"], env=env).split()


def test_a_program_is_compiled_and_linked_with_the_shared_library(shards, root, folder):
    program = os.path.join(folder, "shared")
    rccompile.run([*rccompile.compiler(), *rccompile.STRICT, *flags(root, "--cflags"), SOURCE, *flags(root, "--libs"), "-o", program])
    env = {**os.environ, "LD_LIBRARY_PATH": os.path.join(root, "usr/local/lib")}
    assert rccompile.run([program], env=env).startswith("1 waiting")
    # By its soname, or the next incompatible version would be taken for this one.
    done = subprocess.run([program], capture_output=True, text=True, env={k: v for k, v in env.items() if k != "LD_LIBRARY_PATH"})
    assert done.returncode == 127 and "libringcast.so.0" in done.stderr or "waiting" in done.stdout


def needs(root):
    """What the static library wants beside itself, as pkg-config says."""
    return [flag for flag in flags(root, "--static", "--libs-only-l") if flag != "-lringcast"]


def test_a_program_is_compiled_and_linked_with_the_static_library(shards, root, folder):
    program = os.path.join(folder, "static")
    # Said for who links it whole, and not pressed on who links the shared one.
    assert needs(root) == ["-lssl", "-lcrypto"] and "-lssl" not in flags(root, "--libs")
    rccompile.run([*rccompile.compiler(), *rccompile.STRICT, *flags(root, "--cflags"), SOURCE,
                   os.path.join(root, "usr/local/lib/libringcast.a"), *needs(root), "-o", program])
    assert rccompile.run([program]).startswith("1 waiting")


def test_the_shared_library_shows_only_its_own_names(shards, root):
    if not shutil.which("nm"):
        pytest.skip("nm is not installed")
    shown = rccompile.run(["nm", "-D", "--defined-only", os.path.join(root, "usr/local/lib/libringcast.so")])
    names = {line.split()[-1] for line in shown.splitlines()}
    assert names and all(n.startswith("ringcast_") for n in names), names


def test_the_header_is_good_for_cplusplus_too(shards, root, folder):
    cxx = os.environ.get("CXX", "g++")
    if not shutil.which(cxx):
        pytest.skip(f"{cxx} is not installed")
    source = os.path.join(folder, "a.cc")
    with open(source, "w") as f:
        f.write("#include <ringcast.h>\n#include <ringcast/wire.h>\nint main() { return ringcast_strerror(0) == nullptr; }\n")
    program = os.path.join(folder, "plus")
    rccompile.run([cxx, "-std=c++17", "-Wall", "-Wextra", "-Werror", *flags(root, "--cflags"), source,
                   os.path.join(root, "usr/local/lib/libringcast.a"), *needs(root), "-o", program])
    rccompile.run([program])
