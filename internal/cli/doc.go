// Package cli has what the commands of this project share: their surroundings
// (Env), from which they read and to which they write; files that appear whole
// or not at all (Env.WriteOutput); progress bars (Env.StartProgress); and the
// way in which JSON is written. Syntax and ListFlag are for commands that
// follow the flag syntax of containers-storage.
package cli
