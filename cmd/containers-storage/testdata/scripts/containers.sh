# Containers: mounted by name, unmounted by the path of the mount, directories,
# data items.
fails() { ! "$@"; }
store() { oci-storage --graph "$ROOT" --run "$RUN" --storage-driver "$DRIVER" "$@"; }

layer=$(store import-layer --name os <"$WORK/base.tar" | cut -f 1 | head -n 1)
image=$(store createimage -n os:1 "$layer" | cut -f 1 | head -n 1)
container=$(store create-container --name web "$image" | cut -f 1 | head -n 1)
other=$(store createcontainer -n db os:1 | cut -f 1 | head -n 1)
[ "$(store containers | grep -c '^[0-9a-f]')" -eq 2 ]
[ "$(store container web | grep '^Image name: ')" = 'Image name: os:1' ]

mountpoint=$(store mount web)
[ "$(cat "$mountpoint/a")" = hello ]
echo changed >"$mountpoint/a"
[ "$(cat "$(store mount --label '' db)/a")" = hello ]
store unmount "$mountpoint" >/dev/null
store umount db >/dev/null
mountpoint=$(store mount "$container")
[ "$(cat "$mountpoint/a")" = changed ]
store unmount web >/dev/null

dir=$(store get-container-dir web)
run=$(store getcontainerrundir web)
case $dir in "$ROOT"/*) ;; *) exit 1 ;; esac
case $run in "$RUN"/*) ;; *) exit 1 ;; esac
echo state >"$dir/state"
echo state >"$run/state"
printf data | store set-container-data web item
[ "$(store listcontainerdata web)" = item ]
[ "$(store get-container-data web item)" = data ]

fails store delete-image os:1 2>/dev/null
store delete-container web
[ ! -e "$dir" ]
[ ! -e "$run" ]
store delete "$other"
store deleteimage os:1 2>/dev/null
fails store exists os
