package page

// need says who needs a layer: whose layer it is, or lies on it.
type need struct {
	images, containers int
	last               *user // the one that was counted last
	image, container   *user // the last of each kind
}

// user is an image or a container with all its layers.
type user struct {
	User
	tops []*node
}

// countNeeds counts for each layer the images and the containers that need it.
// One with several layers counts once.
func countNeeds(nodes []*node) {
	type key struct{ kind, id string }
	users := make(map[key]*user)
	for _, n := range nodes {
		for _, u := range n.Users {
			k := key{u.Kind, u.ID}
			if users[k] == nil {
				users[k] = &user{User: u}
			}
			users[k].tops = append(users[k].tops, n)
		}
	}
	for _, u := range users {
		for _, top := range u.tops {
			for n := top; n != nil && n.need.last != u; n = n.parent {
				n.need.count(u)
			}
		}
	}
}

func (n *need) count(u *user) {
	n.last = u
	if u.Kind == Image {
		n.images++
		n.image = u
	} else {
		n.containers++
		n.container = u
	}
}

// owner returns the image that alone needs the layer, whatever containers there
// are on it or, if no image does, the container that alone needs it. It returns
// nil if there is none.
func (n *need) owner() *user {
	switch {
	case n.images == 1:
		return n.image
	case n.images == 0 && n.containers == 1:
		return n.container
	}
	return nil
}
