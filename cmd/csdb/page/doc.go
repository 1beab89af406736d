// Package page writes a report on a container store as one HTML page: what the
// store is, its layers with the images and containers on them, what takes the
// space, what a check has found, and what happened last.
//
// The page needs nothing but itself: no network, and no script to be read. A
// small script only adds a search. Everything that the page says comes from
// stores that others filled, so it is escaped by html/template, and the page's
// Content-Security-Policy lets a browser run and load nothing but the script and
// the style that are in this package.
//
// A [Page] has the texts as they are to be shown; how layers are arranged and
// the space is divided is decided here. However many layers there are, and
// however they lie on each other, elements are nested a few hundred deep at
// most, and everything long is folded.
package page
