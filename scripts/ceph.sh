#!/usr/bin/env bash
# What every store must do, on Ceph's radosgw: for a nightly job on Debian 12 or later (70 MB of packages, 1.5 GB of RAM).
#
#     scripts/ceph.sh [PYTEST ARGUMENT...]      CEPH_DEBS=FOLDER keeps the packages between runs
#
# Nothing is installed: the packages are unpacked below a temporary folder, and a cluster of one monitor, one manager
# and one OSD in memory runs there on loopback, for as long as the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
work=$(mktemp -d)
debs=${CEPH_DEBS:-$work/debs}
root=$work/root
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
step() { printf '\n== %s\n' "$*"; }

step "packages"
mkdir -p "$debs/partial" "$root"
if ! compgen -G "$debs/radosgw_*.deb" >/dev/null; then
  apt-get install -y -q --no-install-recommends --download-only -o Dir::Cache::archives="$debs" -o APT::Sandbox::User=root \
    radosgw ceph-mon ceph-osd ceph-mgr ceph-base
fi
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done
arch=$(dpkg --print-architecture | sed 's/amd64/x86_64/; s/arm64/aarch64/')-linux-gnu
lib=$root/usr/lib/$arch
export LD_LIBRARY_PATH=$lib:$lib/ceph:$root/lib/$arch PATH=$root/usr/bin:$root/usr/sbin:$PATH

step "cluster"
read -r mon v1 rgw < <("$python" -c "
import socket
sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in sockets))")
fsid=$("$python" -c 'import uuid; print(uuid.uuid4())')
export CEPH_CONF=$work/ceph.conf
cat >"$CEPH_CONF" <<EOF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon,v1:127.0.0.1:$v1]
mon initial members = a
keyring = $work/keyring
run dir = $work
admin socket = $work/\$cluster-\$name.asok
log file = $work/\$name.log
pid file =
crash dir = $work/crash
plugin dir = $lib/ceph
erasure code dir = $lib/ceph/erasure-code
osd class dir = $lib/rados-classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data = $work/mon
mon data avail crit = 1
ms bind msgr2 = true
[mgr]
mgr data = $work/mgr
mgr module path = $root/usr/share/ceph/mgr
mgr initial modules =
[osd]
osd data = $work/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd max object name len = 1280
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$rgw
rgw data = $work/rgw
rgw dns name = localhost
EOF
mkdir -p "$work"/{mon,mgr,osd,rgw,crash}
ceph-authtool --create-keyring "$work/keyring" --gen-key -n mon. --cap mon 'allow *'
for name in client.admin mgr.x osd.0 client.rgw; do
  case $name in
    client.admin) caps=(--cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *') ;;
    mgr.x) caps=(--cap mon 'allow profile mgr' --cap osd 'allow *') ;;
    osd.0) caps=(--cap mon 'allow profile osd' --cap mgr 'allow profile osd' --cap osd 'allow *') ;;
    client.rgw) caps=(--cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw') ;;
  esac
  ceph-authtool "$work/keyring" --gen-key -n "$name" "${caps[@]}"
done
monmaptool --create --addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$v1]" --fsid "$fsid" "$work/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$work/monmap" --keyring "$work/keyring"
run() { "$@" >>"$work/out.log" 2>&1 & pids+=($!); }
run ceph-mon -f -i a
run ceph-mgr -f -i x
ceph-osd --mkfs -i 0 --osd-uuid "$("$python" -c 'import uuid; print(uuid.uuid4())')" >>"$work/out.log" 2>&1
ceph() { PYTHONPATH=$root/usr/lib/python3/dist-packages /usr/bin/python3 "$root/usr/bin/ceph" "$@"; }  # its libraries are Debian's Python's
ceph osd new "$(cat "$work/osd/fsid")" 0 >/dev/null
ceph osd crush add osd.0 1.0 root=default host=localhost >/dev/null
run ceph-osd -f -i 0
run radosgw -f -n client.rgw
for _ in $(seq 60); do
  "$python" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$rgw').read()" 2>/dev/null && break
  sleep 1
done
key=$("$python" -c 'import secrets; print(secrets.token_hex(10))')
radosgw-admin user create --uid=tests --display-name=tests --access-key="$key" --secret-key="$key" --max-buckets=100000 >/dev/null
echo "radosgw listens on http://127.0.0.1:$rgw"

step "tests"
unset LD_LIBRARY_PATH CEPH_CONF
S3IMG_TEST_ENDPOINT=http://127.0.0.1:$rgw S3IMG_TEST_ACCESS_KEY=$key S3IMG_TEST_SECRET_KEY=$key \
  "$python" -m pytest -n 0 -q tests/buckets/test_every_bucket.py tests/transfer/test_sync.py -k external "$@"
