// Nothing: the headers that tests share, compiled once, need a source to be compiled with.
