package compress

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/csdb/csdb/model"
)

// badDecoder stands for the decoders' mistakes that are not known yet.
type badDecoder func() (int, error)

func (d badDecoder) Read([]byte) (int, error) { return d() }
func (d badDecoder) Close() error             { return nil }

func TestMistakesOfDecodersAreErrorsThatStay(t *testing.T) {
	for text, decode := range map[string]func() (int, error){
		"bits outside of range": func() (int, error) { panic("bits outside of range") },
		errTrailing.Error():     func() (int, error) { return 0, io.EOF },
		"broken":                func() (int, error) { return 0, errors.New("broken") },
	} {
		calls := 0
		d := &decodingReader{src: newSource(strings.NewReader("x")), kind: model.Xz, decoder: badDecoder(func() (int, error) {
			if calls++; calls > 1 {
				return 1, nil
			}
			return decode()
		})}
		for range 2 {
			n, err := d.Read(make([]byte, 10))
			if n != 0 || !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: read %d, %v", text, n, err)
			}
		}
	}
}
