# Images: names, data items, metadata.
fails() { ! "$@"; }
store() { oci-storage -g "$ROOT" -R "$RUN" -s "$DRIVER" "$@"; }

layer=$(store create-layer | cut -f 1)
image=$(store create-image --name first --name second --metadata 'some text' "$layer" | head -n 1 | cut -f 1)
[ "$(store images | head -n 1)" = "$image" ]
[ "$(store image first | grep '^Name: ' | tr '\n' ';')" = 'Name: first;Name: second;' ]
[ "$(store image "$image" | grep '^Top Layer: ')" = "Top Layer: $layer" ]
[ "$(store metadata --quiet second)" = 'some text' ]
store set-metadata --metadata other second
[ "$(store metadata -q first)" = other ]

store add-names --name third "$image"
store exists --image third >/dev/null
store setnames --name last "$image"
fails store exists -q first
store exists -q last

printf 'the manifest' >"$WORK/manifest"
store set-image-data --file "$WORK/manifest" last manifest
store setimagedata last config <"$WORK/manifest"
[ "$(store list-image-data last | tr '\n' ';')" = 'manifest;config;' ]
[ "$(store get-image-data last config)" = 'the manifest' ]
store getimagedata -f "$WORK/copy" last manifest
cmp "$WORK/manifest" "$WORK/copy"

removed=$(store delete-image last 2>&1)
[ "$removed" = "last: $layer" ]
[ -z "$(store images)$(store layers)" ]
