package db

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// maxRoots is how many roots that no meta page leads to are tried.
const maxRoots = 16

// findRoots looks for the root pages of states that no meta page leads to, the
// newest first, and not older than the newest one that a meta page leads to.
// Each transaction writes a root page, and an entry of the journal that has its
// number; what it writes is on disk before the meta page.
func (s *salvager) findRoots(known []root) ([]root, error) {
	var oldest uint64
	if len(known) > 0 {
		oldest = known[0].meta.txID + 1
	}
	source := s.pages()
	var found []root
	err := s.eachHeader(source.size, func(id uint64, header []byte) {
		// The root page has one element: the bucket that contains all others.
		if binary.LittleEndian.Uint64(header) != id || binary.LittleEndian.Uint16(header[8:]) != flagLeaf ||
			binary.LittleEndian.Uint16(header[10:]) != 1 || binary.LittleEndian.Uint32(header[12:]) != 0 {
			return
		}
		txID, ok := s.lastTransaction(source, id)
		if !ok || txID < oldest {
			return
		}
		found = append(found, root{found: true, meta: meta{
			pageSize: uint32(source.size), root: id, freelist: noFreelist, pageCount: source.count, txID: txID,
		}})
	})
	slices.SortStableFunc(found, func(a, b root) int { return cmp.Compare(b.meta.txID, a.meta.txID) })
	return found[:min(len(found), maxRoots)], err
}

// lastTransaction returns the number of the transaction that wrote a root page,
// from the last entry of the journal in its tree. That is a look at few pages.
func (s *salvager) lastTransaction(source pageSource, root uint64) (txID uint64, ok bool) {
	p, err := source.read(root)
	for _, name := range []string{rootBucket, string(bucketJournal)} {
		if err == nil {
			p, err = enter(source, p, []byte(name))
		}
	}
	if err == nil {
		p, err = descend(source, p, nil)
	}
	if err != nil || p.count == 0 {
		return 0, false
	}
	e, err := p.element(p.count - 1)
	if err != nil {
		return 0, false
	}
	key, errKey := p.key(e)
	value, errValue := p.bytes(e.start+e.keySize, e.valueSize)
	if errKey != nil || errValue != nil {
		return 0, false
	}
	entry, err := journal.decode(key, value)
	if err != nil || entry.TxID <= 0 {
		return 0, false
	}
	return uint64(entry.TxID), true
}

// errNoWay means that a tree does not lead where it should.
var errNoWay = errors.New("no way to the key")

// enter returns the root page of a bucket in the tree that begins at a page.
func enter(source pageSource, p *page, name []byte) (*page, error) {
	p, err := descend(source, p, name)
	if err != nil {
		return nil, err
	}
	index, exact, err := p.search(name)
	if err != nil || !exact {
		return nil, errors.Join(errNoWay, err)
	}
	e, err := p.element(index)
	if err != nil || !e.isBucket() {
		return nil, errors.Join(errNoWay, err)
	}
	id, inline, err := p.bucket(e)
	if err != nil || inline != nil {
		return inline, err
	}
	return source.read(id)
}

// descend goes from a page to the leaf in which a key is, or to the last leaf if
// key is nil.
func descend(source pageSource, p *page, key []byte) (*page, error) {
	for range maxTreeDepth {
		if p.flags == flagLeaf {
			return p, nil
		}
		if p.flags != flagBranch || p.count == 0 {
			return nil, errNoWay
		}
		index := p.count - 1
		if key != nil {
			var err error
			if index, _, err = p.search(key); err != nil {
				return nil, err
			}
		}
		e, err := p.element(index)
		if err != nil {
			return nil, err
		}
		if p, err = source.read(e.child); err != nil {
			return nil, err
		}
	}
	return nil, errNoWay
}
