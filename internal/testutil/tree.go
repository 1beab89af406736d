package testutil

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// treeFiles is how many files, folders and links Tree makes.
const treeFiles = 120

// Tree fills the folder dir with ordinary files in folders and with some
// symbolic and hard links, together about a hundred. The seed decides which;
// the same seed gives the same tree, down to the times.
func Tree(t testing.TB, dir string, seed uint64) {
	t.Helper()
	g := gardener{
		random:  rand.New(rand.NewPCG(seed, 0)),
		folders: []string{"."},
		plans:   []plan{{name: ".", kind: typeDir, mode: 0o755, mtime: ordinaryTime(0)}},
	}
	for range treeFiles {
		g.add()
	}
	plant(t, dir, g.plans)
}

// gardener plans the files of a tree one by one.
type gardener struct {
	random  *rand.Rand
	plans   []plan
	folders []string // to put files in
	files   []string // to link to
}

// add plans one more file.
func (g *gardener) add() {
	i := len(g.plans)
	p := plan{name: fmt.Sprintf("%s/%d", pick(g.random, g.folders), i), mtime: ordinaryTime(i)}
	switch dice := g.random.IntN(20); {
	case dice < 5:
		p.kind, p.mode = typeDir, 0o755
		g.folders = append(g.folders, p.name)
	case dice < 7:
		p.kind, p.target = typeSymlink, fmt.Sprintf("../%d", g.random.IntN(treeFiles))
	case dice < 9 && len(g.files) > 0:
		p.kind, p.target = kindLink, pick(g.random, g.files)
	default:
		p.kind, p.mode = typeFile, pick(g.random, []uint32{0o644, 0o600, 0o755})
		p.pieces = content(noise(byte(i), g.random.IntN(1<<g.random.IntN(16))))
		g.files = append(g.files, p.name)
	}
	g.plans = append(g.plans, p)
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }
