#!/bin/sh
# The first process of the virtual machine: the kernel writes to ttyS0, the program to ttyS1, and
# its exit code goes to ttyS2.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/applets HOME=/root
busybox mkdir -p /applets /dev /proc /root /run /sys /tmp
busybox mount -t proc proc /proc
busybox --install -s /applets
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
# Opening it loads the module; elsewhere udev makes it.
busybox mkdir -p /dev/net
busybox mknod /dev/net/tun c 10 200
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
# As systemd does at boot; tests that run side by side would raise it for each other.
echo 9223372036854775807 >/proc/sys/fs/file-max
ip link set lo up
exec 3>/dev/ttyS1
stty -F /dev/ttyS1 -opost
echo "booted Linux $(uname -r) in $(cut -d' ' -f1 /proc/uptime) s" >&3
sh /command </dev/null >&3 2>&3
echo $? >/dev/ttyS2
exec 3>&-
poweroff -f
