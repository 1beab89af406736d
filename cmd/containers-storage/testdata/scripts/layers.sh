# Layers: made, found by the first tab, changed through mounts, compared, copied
# by their diffs.
fails() { ! "$@"; }
store() { oci-storage --graph "$ROOT" --run "$RUN" --storage-driver "$DRIVER" "$@"; }

base=$(store create-layer --name base | head -n 1 | cut -f 1)
[ "${#base}" -eq 64 ]
mountpoint=$(store mount "$base")
echo one >"$mountpoint/one"
mkdir "$mountpoint/dir"
echo two >"$mountpoint/dir/two"
store unmount "$mountpoint" >/dev/null

[ "$(store createlayer -n child base | head -n 1)" = "$(store layers | sed -n 3p)" ]
mountpoint=$(store mount child)
[ "$(cat "$mountpoint/one")" = one ]
rm "$mountpoint/one"
echo three >"$mountpoint/three"
store umount "$mountpoint/" >/dev/null

[ "$(store changes "$base" | sort | tr '\n' ';')" = 'Add "/dir";Add "/dir/two";Add "/one";' ]
[ "$(store changes child | sort | tr '\n' ';')" = 'Add "/three";Delete "/one";' ]
[ "$(store diffsize child)" -eq 6 ]
[ "$(store diff child | tar -t | sort | tr '\n' ';')" = '.wh.one;three;' ]
store diff -c -f "$WORK/child.tar.gz" child

# The same again, by its parts.
store diff "$base" >"$WORK/base.tar"
copy=$(store import-layer -f "$WORK/base.tar" | cut -f 1)
again=$(store create-layer "$copy" | cut -f 1)
store apply-diff "$again" <"$WORK/child.tar.gz"
mountpoint=$(store mount "$again")
[ "$(cat "$mountpoint/three" "$mountpoint/dir/two" | tr '\n' ' ')" = 'three two ' ]
[ ! -e "$mountpoint/one" ]
store unmount "$again" >/dev/null

[ "$(store layers | grep -c '^[0-9a-f]')" -eq 4 ]
store layers --tree >/dev/null
fails store delete-layer base 2>/dev/null
store delete-layer child
store delete-layer base
[ "$(store layers | grep -c '^[0-9a-f]')" -eq 2 ]
