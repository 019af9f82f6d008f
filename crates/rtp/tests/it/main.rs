mod all {}
