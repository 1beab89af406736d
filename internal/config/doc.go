// Package config reads storage.conf, the configuration file that the engines
// share, and what the environment says beside it.
//
// Load finds the one file that counts for a user, and returns a Config, whose
// values know where they are from: a line of the file, a variable, a flag, or
// nowhere, which is the default. ReadFile reads one file and fills nothing in.
// Files are never merged.
//
// Three things can be wrong with a file, and each is told differently. What is
// no TOML, or of the wrong type, or a value that cannot be, is an error of Load.
// A key that nobody knows is a warning (Config.Warnings), since the next
// version of an engine may know it. And what this version cannot do is an error
// of Config.Check, but only if the file asks for it: those who merely want to
// know where the store is need not care.
//
// All that a key can be is in the table in keys.go.
package config
