#!/bin/bash
# Makes what virtual machines for tests boot from: a kernel of Debian's, a small initramfs that loads what its disk needs,
# and an image of a root file system with an sshd and what faults need, from the programs of the machine this runs on.
#
#   image.sh DIRECTORY
#
# The packages of kernel and busybox are downloaded with apt-get, unless KERNEL_PACKAGE and BUSYBOX_PACKAGE name files.
# Nothing is installed, and nothing but the directory is written to.
set -euo pipefail

out=$(mkdir -p "$1" && cd "$1" && pwd)
scratch=$(mktemp -d "$out/making.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

package() { # NAME FILE: unpacks a package
	local file=${2:-}
	if [ -z "$file" ]; then
		(cd "$scratch" && apt-get -qq -o APT::Sandbox::User=root download "$1")
		file=$(ls "$scratch/$1"_*.deb)
	fi
	dpkg-deb -x "$file" "$scratch/$1"
}

kernel=${KERNEL_PACKAGE:+linux-image-given}
kernel=${kernel:-$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: \(linux-image-[0-9].*\)/\1/p')}
[ -n "$kernel" ] || { echo "apt knows no linux-image-cloud-amd64: run apt-get update, or set KERNEL_PACKAGE" >&2; exit 1; }
package "$kernel" "${KERNEL_PACKAGE:-}"
package busybox-static "${BUSYBOX_PACKAGE:-}"
busybox=$scratch/busybox-static/bin/busybox
version=$(ls "$scratch/$kernel/lib/modules")

root=$scratch/root
mkdir -p "$root"/{dev,proc,sys,run,tmp,mnt,var/lib,etc/ssh,usr/bin,usr/sbin,usr/lib,usr/lib64,root/.ssh}
for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$root/$dir"; done
chmod 1777 "$root/tmp"
chmod 700 "$root/root/.ssh"

for applet in $("$busybox" --list); do ln -sf busybox "$root/usr/bin/$applet"; done
cp --remove-destination "$busybox" "$root/usr/bin/busybox"
ln -s ../bin/busybox "$root/usr/sbin/modprobe"

# The real programs, with their libraries, in place of busybox's.
for program in sshd nft ip tc mkfs.ext4 bash head tail date unshare nsenter pgrep; do
	file=$(readlink -f "$(PATH=$PATH:/usr/sbin:/sbin command -v "$program")") || { echo "this machine lacks $program" >&2; exit 1; }
	place=$root/usr/bin/$program
	[ "$program" = sshd ] && place=$root/usr/sbin/sshd
	rm -f "$place"
	cp "$file" "$place"
	for library in $(ldd "$file" | grep -o '/[^ ]*'); do
		install -D "$library" "$root$(realpath -m --no-symlinks "$library" | sed 's,^/lib,/usr/lib,;s,^/usr/usr,/usr,')"
	done
done
[ ! -e /etc/mke2fs.conf ] || cp /etc/mke2fs.conf "$root/etc/"

cp -a "$scratch/$kernel/lib/modules" "$root/usr/lib/modules"
"$busybox" depmod -b "$root" "$version"

ssh-keygen -q -t ed25519 -N '' -C machine -f "$root/etc/ssh/host_key"
rm -f "$out/key" "$out/key.pub"
ssh-keygen -q -t ed25519 -N '' -C test -f "$out/key"
cp "$out/key.pub" "$root/root/.ssh/authorized_keys"
cut -d' ' -f1,2 "$root/etc/ssh/host_key.pub" >"$out/host_key.pub"
cat >"$root/etc/ssh/sshd_config" <<-END
	HostKey /etc/ssh/host_key
	PermitRootLogin prohibit-password
	UsePAM no
	UseDNS no
	MaxStartups 100
	MaxSessions 100
END
printf '%s\n' 'root:x:0:0::/root:/bin/bash' 'sshd:x:100:65534::/run/sshd:/bin/false' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
cat >"$root/etc/inittab" <<-END
	::sysinit:/etc/start
	::respawn:/usr/sbin/sshd -D -e
END
# The kernel's command line says which address the machine has: ADDRESS/LENGTH.
cat >"$root/etc/start" <<-'END'
	#!/bin/bash
	export PATH=/usr/sbin:/usr/bin
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs tmpfs /run
	mkdir -p /run/sshd
	mount -o remount,rw /
	modprobe virtio_net
	modprobe loop
	modprobe fuse
	address=$(sed 's/.*machine.address=\([^ ]*\).*/\1/' /proc/cmdline)
	host=${address%/*}
	hostname "machine${host##*.}"
	ip link set lo up
	ip address add "$address" dev eth0
	ip link set eth0 up
	echo "machine started"
END
chmod +x "$root/etc/start"

early=$scratch/early
mkdir -p "$early"/{bin,dev,proc,sys,root,lib/modules}
cp "$busybox" "$early/bin/busybox"
cat >"$early/init" <<-'END'
	#!/bin/busybox sh
	/bin/busybox mount -t proc proc /proc
	/bin/busybox mount -t devtmpfs dev /dev
	for module in $(/bin/busybox cat /lib/modules/order); do /bin/busybox insmod "/lib/modules/$module"; done
	until [ -e /dev/vda ]; do /bin/busybox usleep 10000; done
	/bin/busybox mount -t ext4 /dev/vda /root
	/bin/busybox mount --move /dev /root/dev
	/bin/busybox umount /proc
	exec /bin/busybox switch_root /root /sbin/init
END
chmod +x "$early/init"
ln -s ../bin/init "$root/usr/sbin/init"
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
	file=$(find "$root/usr/lib/modules/$version" -name "$module.ko")
	cp "$file" "$early/lib/modules/"
	echo "$module.ko" >>"$early/lib/modules/order"
done
(cd "$early" && find . | "$busybox" cpio -o -H newc 2>"$scratch/cpio.log") >"$out/initrd"
cp "$scratch/$kernel/boot/vmlinuz-$version" "$out/vmlinuz"
rm -f "$out/root.img"
truncate -s 1G "$scratch/root.img"
mkfs.ext4 -q -F -d "$root" "$scratch/root.img"
mv "$scratch/root.img" "$out/root.img"
