# The store as a whole: single flags and variables, status, what wipe and shutdown
# leave.
export STORAGE_DRIVER="$DRIVER"
fails() { ! "$@"; }
store() { oci-storage --graph "$ROOT" --run "$RUN" "$@"; }

store status >/dev/null 2>&1
store version 2>&1 | grep -q '^Version: '
layer=$(store create-layer --id somelayer | cut -f 1)
[ "$layer" = somelayer ]
[ "$(store layers --json | sed 's/.*"id":"\([^"]*\)".*/\1/')" = somelayer ]
image=$(store create-image --id someimage somelayer | cut -f 1)
container=$(store create-container --id somecontainer "$image" | cut -f 1)
[ "$(store exists "$layer" "$image" "$container" | sort | tr '\n' ';')" = 'somecontainer: true;someimage: true;somelayer: true;' ]

# In use, a store is not shut down; by force it is.
mountpoint=$(store mount somecontainer)
fails store shutdown 2>/dev/null
store shutdown --force
fails mountpoint -q "$mountpoint"
store mount somecontainer >/dev/null
store wipe
[ -z "$(store layers)$(store images)$(store containers)" ]
store shutdown
fails grep -q "$ROOT" /proc/mounts
