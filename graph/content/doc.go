// Package content keeps the content files of a store: the data items of
// layers, images and containers, and the tar-splits of layers. It knows how
// such files are named and made durable, and how they are opened and verified,
// but not which of them belong to anything: that is what the database says.
//
// A content file is written once and never changed; whoever has it open can
// go on reading it whatever happens to the item. All paths are relative to the
// root of the store and are resolved beneath it without following symbolic
// links, so that not even a forged record leads out.
package content
