package dedup

// RunIn is Run with rounds of a chosen size.
var RunIn = runIn
