package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"github.com/csdb/csdb/model"
)

// A value is a byte that tells its format, a checksum, and its content:
//
//	0      format, now 1
//	1..4   CRC-32C (Castagnoli), little endian, of bucket, 0, key, 0, format and content
//	5..    content: CBOR (RFC 8949)
//
// The checksum covers bucket and key, so that a value which turns up under
// another key is noticed too.
const (
	valueFormat = 1
	valueHeader = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal makes a value of content.
func seal(in bucket, key, content []byte) []byte {
	value := make([]byte, valueHeader, valueHeader+len(content))
	value[0] = valueFormat
	binary.LittleEndian.PutUint32(value[1:], checksum(in, key, valueFormat, content))
	return append(value, content...)
}

// unseal returns the content of a value, which stays in the database's memory.
func unseal(in bucket, key, value []byte) ([]byte, error) {
	var problem error
	switch {
	case len(value) < valueHeader:
		problem = fmt.Errorf("value of %d bytes is too short", len(value))
	case value[0] != valueFormat:
		problem = fmt.Errorf("value has unknown format %d", value[0])
	case binary.LittleEndian.Uint32(value[1:]) != checksum(in, key, value[0], value[valueHeader:]):
		problem = errors.New("checksum does not match")
	default:
		return value[valueHeader:], nil
	}
	return nil, &RecordError{Bucket: string(in), Key: string(key), Err: problem}
}

func checksum(in bucket, key []byte, format byte, content []byte) uint32 {
	sum := crc32.Update(0, castagnoli, append([]byte(in), 0))
	sum = crc32.Update(sum, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{0, format})
	return crc32.Update(sum, castagnoli, content)
}

// RecordError says that one value of the database is damaged. It matches
// model.ErrCorrupt.
type RecordError struct {
	Bucket string
	Key    string
	Err    error
}

// Error names the value and the damage.
func (e *RecordError) Error() string {
	return fmt.Sprintf("record %s/%s: %v", e.Bucket, printable(e.Key), e.Err)
}

// Unwrap returns the class of the error and its reason.
func (e *RecordError) Unwrap() []error { return []error{model.ErrCorrupt, e.Err} }

// printable shows a key without the quotes that most keys do not need.
func printable(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` {
		return quoted
	}
	return key
}

// encoding and decoding are deterministic, and strict in what they accept.
var encoding, decoding = codecModes()

func codecModes() (cbor.EncMode, cbor.DecMode) {
	enc, errEnc := cbor.EncOptions{
		Sort:        cbor.SortCoreDeterministic,
		IndefLength: cbor.IndefLengthForbidden,
		Time:        cbor.TimeRFC3339Nano,
	}.EncMode()
	dec, errDec := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		IntDec:           cbor.IntDecConvertSignedOrFail,
		UTF8:             cbor.UTF8DecodeInvalid, // names are any bytes
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
	}.DecMode()
	if err := errors.Join(errEnc, errDec); err != nil {
		panic(err) // the options are constants
	}
	return enc, dec
}
