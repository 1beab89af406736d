// Package cli has what the commands of this project share: their surroundings,
// the way they write JSON, and progress bars.
package cli
