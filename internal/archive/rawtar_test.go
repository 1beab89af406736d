package archive_test

import (
	"bytes"
	"fmt"
	"strings"
)

// Archives that archive/tar would not write are made by hand here, of ustar
// headers as POSIX describes them (pax(1), "ustar Interchange Format").

// rawHeader makes a header block. The size is written as it is given.
func rawHeader(typeflag byte, name, size string) []byte {
	block := make([]byte, 512)
	copy(block[0:100], name)
	copy(block[100:108], "0000644\x00")
	copy(block[108:116], "0000000\x00")
	copy(block[116:124], "0000000\x00")
	copy(block[124:136], size)
	copy(block[136:148], "00000000000\x00")
	block[156] = typeflag
	copy(block[257:265], "ustar\x0000")
	return checksummed(block)
}

// checksummed sets the checksum of a header block.
func checksummed(block []byte) []byte {
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

// octal returns a size as ustar headers have it.
func octal(size int) string { return fmt.Sprintf("%011o\x00", size) }

// padded returns content followed by zeros up to the end of a block.
func padded(content string) []byte {
	return append([]byte(content), make([]byte, (512-len(content)%512)%512)...)
}

// rawPAX makes an extended header of pairs of keyword and value.
func rawPAX(pairs ...string) []byte {
	var records strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		record := fmt.Sprintf(" %s=%s\n", pairs[i], pairs[i+1])
		length := len(record) + len(fmt.Sprint(len(record)))
		if len(fmt.Sprint(length)) > len(fmt.Sprint(len(record))) {
			length++
		}
		fmt.Fprintf(&records, "%d%s", length, record)
	}
	return append(rawHeader('x', "PaxHeaders/x", octal(records.Len())), padded(records.String())...)
}

// rawFile makes an entry of a regular file, with the records before it.
func rawFile(pax []byte, name, content string) []byte {
	return bytes.Join([][]byte{pax, rawHeader('0', name, octal(len(content))), padded(content)}, nil)
}

// rawSparse makes an entry of a sparse file in the format 0.1 of GNU tar: the
// map has pairs of offset and length, and size is that of the whole file.
func rawSparse(name, size, sparseMap, content string) []byte {
	blocks := fmt.Sprint((strings.Count(sparseMap, ",") + 1) / 2)
	return rawFile(rawPAX(
		"GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name", name, "GNU.sparse.size", size,
		"GNU.sparse.numblocks", blocks, "GNU.sparse.map", sparseMap), "GNUSparseFile.0/"+name, content)
}

// rawOldSparse makes an entry of a sparse file in the old format of GNU tar
// (its manual, "Storing Sparse Files"): one piece of content at an offset.
func rawOldSparse(name string, offset, length, size int, content string) []byte {
	block := rawHeader('S', name, octal(len(content)))
	copy(block[257:265], "ustar  \x00")
	copy(block[386:398], octal(offset))
	copy(block[398:410], octal(length))
	copy(block[483:495], octal(size))
	return append(checksummed(block), padded(content)...)
}
