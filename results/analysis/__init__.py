"""What can be learned from the trials of a run beyond its front.

progress      the best so far and the hypervolume, over trials and over what was paid
times         where the time went
ranks         what a supernet said of networks, beside what training them from scratch says
decisions     which decisions matter for a goal, and on which values the front agrees; of these: choices, the table of
              what was decided; importance; agreement
comparable    what makes the numbers of runs incomparable

Every function takes rows, facts and fronts and gives plain values: a page, a table or a figure shows them.
"""
