package cli

import (
	"encoding/json"
	"io"
)

// WriteJSON writes a value as one line of compact JSON, with the characters
// that mean something to HTML escaped, as scripts of containers-storage know
// it.
func WriteJSON(w io.Writer, value any) error { return json.NewEncoder(w).Encode(value) }
