package main

import (
	"encoding/json"
	"unicode/utf8"
)

// octets are bytes that are mostly text: a key, or the name of a bucket. In JSON
// they are a string, or, if they are not valid UTF-8, an object with the base64
// form.
type octets []byte

// encoded is the form of octets that are no text.
type encoded struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON returns a string or an object.
func (o octets) MarshalJSON() ([]byte, error) {
	if utf8.Valid(o) {
		return json.Marshal(string(o))
	}
	return json.Marshal(encoded{o})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (o *octets) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		err := json.Unmarshal(text, &s)
		*o = octets(s)
		return err
	}
	var b encoded
	err := json.Unmarshal(text, &b)
	*o = b.Base64
	return err
}

func octetsOf(path []string) []octets {
	all := make([]octets, 0, len(path))
	for _, name := range path {
		all = append(all, octets(name))
	}
	return all
}

func stringsOf(path []octets) []string {
	all := make([]string, 0, len(path))
	for _, name := range path {
		all = append(all, string(name))
	}
	return all
}
