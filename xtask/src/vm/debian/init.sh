#!/bin/sh
# Finds the disk and hands over to its init.
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "$module"
done </modules
while [ ! -b /dev/vda ]; do
    sleep 0.1
done
mount -t ext4 /dev/vda /root
exec switch_root /root /sbin/init
