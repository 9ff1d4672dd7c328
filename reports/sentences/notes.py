"""How the statistics are computed, and how far to trust them: the notes below a report."""

METHOD_NOTES = (
    "Means, standard deviations (ddof = 1) and medians are over seeds. Intervals are 95 % intervals of a mean by "
    "Student's t (of a difference: paired t, or Welch's t if seeds do not pair) and assume roughly normal means. "
    "Intervals of percentages and fractions are computed on the logit scale of the mean, so they stay within 0 and "
    "100 %. BCa bootstrap intervals are shown for comparison: with normal values their coverage is 70 % at n = 3 and "
    "80 % at n = 4, nominally 95 %. No interval accounts for a collapse that occurred in none of the seeds.",
    "The spread over seeds is search noise if accuracies come from a table, in which an architecture has one value. If "
    "each search was retrained once, it is search and retraining noise together, which cannot be separated.",
    "Methods are paired by seed if their values share something by seed and they ran exactly the same seeds; the test "
    "is then the two-sided sign-flip permutation test. Otherwise it is an unpaired permutation test of the means over "
    "all values. Trials with the same seed share the split of the training images, the order and augmentation of "
    "batches, and the initial weights of networks of one shape. The correlation over seeds and the width of the "
    "interval show what pairing gained. Both tests are exact up to 9,999 permutations and assume no distribution. A "
    "verdict depends on the permutation test alone, never on whether an interval contains zero. The p-values of the t "
    "test and of Wilcoxon's test are not corrected.",
    "p-values are Holm-corrected within a family: the comparisons of one table, those of one space, data set and "
    "protocol. A difference is called significant if the corrected p is at most 0.05. A12 (Vargha and Delaney) is "
    "how often a run of the first method is better than one of the second: 0.5 is no effect; Cliff's delta is "
    "2 A12 - 1. The probability of improvement is the share of seeds in which the first is better, or A12 if seeds do "
    "not pair.",
    "Equivalence is tested by two one-sided t tests (TOST) against the stated margin, Holm-corrected over the same "
    "family; the smallest margin that the data support is not corrected. Like the intervals, the test does not account "
    "for a collapse that occurred in none of the seeds. The detectable difference is the true difference that a t test "
    "finds with 80 % power, at the strictest step of Holm's correction and the observed spread. A few seeds estimate "
    "the spread poorly, so these figures are for planning.",
    "A best of k is compared with its expected value, computed from the mean and standard deviation of the method's "
    "searches (for a normal distribution; for percentages and fractions, a beta distribution). It is never tested as "
    "if it were one search.",
)

RANKING_NOTES = (
    "A block is one space and data set. A score is how much a value is better than the mean of all methods' means in "
    "its block, in the values' unit; a higher score is better. The interquartile mean (IQM) is the mean of the middle "
    "half of a method's scores. Its 95 % interval is the percentile interval of a stratified bootstrap that resamples "
    "seeds within each block: its coverage is at least 94 % for normal scores, and about 70 % at n = 3 for a method "
    "that collapses in three searches of ten. A performance profile shows, for each score, the share of a method's "
    "searches with at least that score.",
    "Ranks are of the means in each block; 1 is the best. Friedman's test permutes them within blocks, exactly up to "
    "9,999 arrangements; Nemenyi's test corrects for all pairs of methods and is asymptotic in the number of blocks. "
    "The probability of improvement across blocks is the mean of A12 over blocks, with the stratified bootstrap's "
    "interval; neither it nor the IQM is corrected for the number of methods.",
)
